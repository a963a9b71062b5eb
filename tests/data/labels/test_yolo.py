from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesmith.data.labels.annotated import AnnotatedSource
from edgesmith.data.labels.yolo import yolo_layout
from edgesmith.data.tree import read_tree
from edgesmith.errors import DataError
from tests.data.conftest import picture, put

YAML = b"path: .\ntrain: images\nnames: [cat, dog]\n"


def dataset(tmp_path: Path, labels: dict[str, str], yaml: bytes = YAML) -> Path:
    """A dataset with an image and a label file for each of `labels`."""
    content = {"data.yaml": yaml}
    for number, (name, text) in enumerate(labels.items()):
        content[f"images/{name}.png"] = picture(number)
        content[f"labels/{name}.txt"] = text.encode()
    return put(tmp_path / "pets", content)


def read(root: Path, *, drop: bool = False) -> AnnotatedSource:
    return yolo_layout(root, read_tree(root), "datasets.pets", drop=drop)


def refused(root: Path, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(root)


def splits(source: AnnotatedSource) -> dict[str, str]:
    return {entry.name: entry.split for entry in source.entries}


def test_boxes_and_classes_are_read_exactly(tmp_path: Path) -> None:
    source = read(dataset(tmp_path, {"a": "1 0.479492 0.7 0.1 0.2\n\n0 .5 .5 1 1\n", "b": ""}))

    assert source.labels == ["cat", "dog"]
    assert source.entries[0].boxes.tolist() == [[0.479492, 0.7, 0.1, 0.2], [0.5, 0.5, 1.0, 1.0]]
    assert source.entries[0].classes.tolist() == [1, 0]
    assert source.entries[1].boxes.shape == (0, 4)
    assert source.entries[1].classes.dtype == np.int64
    assert source.notes == []


def test_a_polygon_becomes_its_bounding_box(tmp_path: Path) -> None:
    source = read(dataset(tmp_path, {"a": "0 0.1 0.2 0.5 0.3 0.4 0.8 0.2 0.6"}))

    assert np.allclose(source.entries[0].boxes, [(0.3, 0.5, 0.4, 0.6)])


FAULTS = [
    ("0 .5 .5 .1", r"line 1: 4 columns; a box has 5"),
    ("0 .5 .5 .1 .1 .9", r"line 1: 6 columns"),
    ("0 .5 .5 .1 .1\n2 .5 .5 .1 .2", r"line 2: class 2 is not one of the 2 of data\.yaml"),
    ("-1 .5 .5 .1 .1", r"line 1: class -1 is not"),
    ("0.5 .5 .5 .1 .1", r"line 1: class 0\.5 is not"),
    ("cat .5 .5 .1 .1", r"line 1: 'cat .*' are not numbers"),
    ("0 .5 .5 nan .1", r"line 1: a box of .* is not finite"),
    ("0 .5 .5 .1 0", r"line 1: a box of width 0\.1 and height 0 holds nothing"),
    ("0 .5 .5 -.1 .1", r"line 1: a box of width -0\.1"),
    ("0 .98 .5 .1 .1", r"line 1: a box from 0\.93 0\.45 1\.03 0\.55 is outside the image"),
    ("0 320 240 40 40", r"line 1: a box from 300 220 340 260 is outside"),
    ("0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n0 .5 .5 .1 .1", r"line 3: the same object is there twice"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_faulty_label_is_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    root = dataset(tmp_path, {"a": "0 .5 .5 .2 .2", "b": text})

    remedy = r"correct them, or .*datasets\.pets\.on_bad_labels: drop"
    refused(root, rf"1 faulty labels; {remedy}\n.*b\.txt: {message}")


def test_all_faults_are_in_one_message(tmp_path: Path) -> None:
    root = dataset(tmp_path, {str(k): text for k, (text, _) in enumerate(FAULTS)})
    with pytest.raises(DataError) as raised:
        read(root)

    assert f"{len(FAULTS)} faulty labels" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1 + len(FAULTS)


def test_a_message_of_hundreds_of_faults_ends(tmp_path: Path) -> None:
    root = dataset(tmp_path, {"a": "7 .5 .5 .1 .1\n" * 200})
    with pytest.raises(DataError, match="… and 150 more") as raised:
        read(root)

    assert len(str(raised.value).splitlines()) == 52


def test_dropping_leaves_out_what_is_faulty_and_cuts_at_the_border(tmp_path: Path) -> None:
    root = dataset(tmp_path, {"a": "0 .98 .5 .1 .1\n0 .5 .5 .1 0\n1 .2 .2 .1 .1", "b": "9 1 1 1 1"})
    source = read(root, drop=True)

    assert np.allclose(source.entries[0].boxes, [(0.965, 0.5, 0.07, 0.1), (0.2, 0.2, 0.1, 0.1)])
    assert source.entries[0].classes.tolist() == [0, 1]
    assert len(source.entries[1].boxes) == 0
    assert any("2 faulty labels left out" in note for note in source.notes)
    assert any("1 boxes cut at the image's border" in note for note in source.notes)


def test_rounding_over_the_border_is_cut_without_a_word(tmp_path: Path) -> None:
    source = read(dataset(tmp_path, {"a": "0 0.9504 0.5 0.1 0.1"}))
    x, _, wide, _ = source.entries[0].boxes[0]

    assert x + wide / 2 == pytest.approx(1.0, abs=1e-12)
    assert x - wide / 2 == pytest.approx(0.9004)
    assert source.notes == []


def test_an_image_without_labels_has_no_objects_and_is_counted(tmp_path: Path) -> None:
    root = dataset(tmp_path, {"a": "0 .5 .5 .2 .2"})
    put(root, {"images/b.png": picture(7), "labels/c.txt": b"0 .5 .5 .2 .2"})
    source = read(root)

    assert [len(entry.boxes) for entry in source.entries] == [1, 0]
    without, alone = source.notes
    assert "1 images without a label file" in without
    assert "1 label files without an image" in alone
    assert "c.txt" in alone


def test_a_dataset_without_any_label_file_is_refused(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", {"data.yaml": YAML, "images/a.png": picture(0)})

    refused(root, "no image has a label file; they are expected in labels/ beside images/")


def test_splits_are_those_of_the_yaml(tmp_path: Path) -> None:
    names = b"names: {0: cat, 1: dog}\n"
    yaml = b"train: ../train/images\nval: ../valid/images\ntest: lists/test.txt\n" + names
    files = {"data.yaml": yaml, "lists/test.txt": b"./x.png\n\nother/images/e.png\n"}
    for name in ("train/images/a", "train/images/b", "valid/images/c", "other/images/e"):
        files[f"{name}.png"] = picture(len(files))
        files[f"{name.replace('images', 'labels')}.txt"] = b"1 .5 .5 .2 .2"
    files["lists/x.png"], files["lists/x.txt"] = picture(99), b"0 .5 .5 .2 .2"
    source = read(put(tmp_path / "pets", files))

    assert splits(source) == {
        "a.png": "train",
        "b.png": "train",
        "c.png": "val",
        "x.png": "test",
        "e.png": "test",
    }
    assert source.labels == ["cat", "dog"]
    assert all(len(entry.boxes) == 1 for entry in source.entries)


def test_a_yaml_without_paths_leaves_splits_to_the_folders(tmp_path: Path) -> None:
    files = {"data.yaml": b"names: [cat]\n"}
    for folder in ("train", "val"):
        files[f"images/{folder}/sub/{folder}.png"] = picture(len(files))
        files[f"labels/{folder}/sub/{folder}.txt"] = b"0 .5 .5 .2 .2"
    source = read(put(tmp_path / "pets", files))

    assert splits(source) == {"sub_train.png": "train", "sub_val.png": "val"}


def test_the_path_key_may_name_the_folder_of_the_images(tmp_path: Path) -> None:
    yaml = b"path: ../here\ntrain: images\nnames: [cat]\n"
    files = {"here/images/a.png": picture(0), "here/labels/a.txt": b"0 .5 .5 .2 .2"}
    source = read(put(tmp_path / "pets", {"data.yaml": yaml, **files}))

    assert splits(source) == {"a.png": "train"}


def test_the_same_images_as_train_and_val_are_train_alone(tmp_path: Path) -> None:
    yaml = YAML + b"val: images\n"
    source = read(dataset(tmp_path, {"a": "0 .5 .5 .2 .2", "b": ""}, yaml))

    assert splits(source) == {"a.png": "train", "b.png": "train"}
    assert any("val is the same as train" in note for note in source.notes)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        (b"train: images\n", "0 YAML files with `names`"),
        (b"names: [cat\n", r"data\.yaml: not valid YAML"),
        (b"names: {1: cat}\n", r"data\.yaml: names: its keys must be 0 to 0"),
        (b"names: cat\n", r"data\.yaml: names: must be a list"),
        (b"names: [cat, cat]\n", r"data\.yaml: names: 'cat' is there twice"),
        (b"names: [cat]\ntrain: 3\n", r"data\.yaml: train is 3; it must be a folder"),
        (b"names: [cat]\ntrain: pictures\n", r"data\.yaml: train: no image is in pictures"),
        (b"names: [cat]\ntrain: images\nval: list.txt\n", r"data\.yaml: val: a\.png|images/a\.png"),
        (b"names: [cat]\ntrain: bad.txt\n", r"bad\.txt: line 2: images/z\.png is not in the"),
    ],
)
def test_a_wrong_yaml_is_named_by_key(tmp_path: Path, yaml: bytes, message: str) -> None:
    root = dataset(tmp_path, {"a": "0 .5 .5 .2 .2", "b": ""}, yaml)
    put(root, {"list.txt": b"images/a.png\n", "bad.txt": b"images/a.png\nimages/z.png\n"})

    refused(root, message)


def test_real_coco_images(shared: Path) -> None:
    path = shared / "coco128.tar"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    source = yolo_layout(path, read_tree(path), "datasets.coco128", drop=False)

    assert len(source.labels) == 80
    assert len(source.entries) == 128
    assert sum(len(entry.boxes) for entry in source.entries) == 929
    assert len(source.notes) == 3
