from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesmith import files
from edgesmith.data.detect.store import Scenes, load_scenes
from edgesmith.data.index import read_index
from edgesmith.data.scenes.generate import scene
from edgesmith.data.sources import prepare_dataset
from edgesmith.errors import DataError
from edgesmith.params import Dataset
from edgesmith.preprocess import Preprocess
from tests.data.conftest import picture, put

BOXES = ["0.3 0.4 0.2 0.2", "0.6 0.5 0.3 0.4", "0.5 0.7 0.25 0.1"]


def images(prefix: str, classes: Iterable[tuple[int, ...]], seed: int) -> dict[str, bytes]:
    """An image with one object of each class in its tuple, for every tuple."""
    content = {}
    for place, present in enumerate(classes):
        stem = f"{prefix}/{place:03d}"
        lines = [f"{number} {box}\n" for number, box in zip(present, BOXES, strict=False)]
        content[f"images/{stem}.png"] = picture(seed + place)
        content[f"labels/{stem}.txt"] = "".join(lines).encode()
    return content


def yaml(*splits: str) -> bytes:
    lines = ["names: [ant, bee, cow]", *(f"{split}: images/{split}" for split in splits)]
    return "\n".join(lines).encode()


def rule(path: Path, **changes: Any) -> Dataset:
    base = {"source": "yolo", "path": str(path), "calibration": 4}
    return Dataset.model_validate({**base, **changes})


def prepare(tmp_path: Path, dataset: Dataset, seed: int = 1) -> Path:
    folder = tmp_path / "out" / "zoo"
    prepare_dataset("zoo", dataset, seed, folder)
    return folder


def refused(tmp_path: Path, dataset: Dataset, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(tmp_path, dataset)
    assert not (tmp_path / "out" / "zoo").exists()


def pictures(folder: Path, split: str) -> set[bytes]:
    with tarfile.open(folder / f"{split}.tar") as tar:
        members = [member for member in tar if member.name.startswith("images/")]
        return {tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]


def presence(scenes: Scenes) -> list[int]:
    """In how many images each of three classes is."""
    return [sum(number in own for own in scenes.classes) for number in range(3)]


MIXED = [(0,)] * 24 + [(0, 1)] * 12 + [(0, 1, 2)] * 4


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return put(tmp_path / "zoo", {"data.yaml": yaml("train"), **images("train", MIXED, 0)})


def test_val_and_test_are_carved_with_rare_classes_spread_evenly(
    tmp_path: Path, zoo: Path, letterbox: Preprocess
) -> None:
    folder = prepare(tmp_path, rule(zoo, test=10, val=10))
    parts = [pictures(folder, split) for split in ("train", "val", "test")]

    assert [len(part) for part in parts] == [20, 10, 10]
    assert len(set.union(*parts)) == 40
    for split, expected in (("train", [20, 8, 2]), ("val", [10, 4, 1]), ("test", [10, 4, 1])):
        assert presence(load_scenes(folder, split, letterbox)) == expected


def test_calibration_sees_every_class_and_no_test_image(
    tmp_path: Path, zoo: Path, letterbox: Preprocess
) -> None:
    folder = prepare(tmp_path, rule(zoo, calibration=3))
    few = load_scenes(folder, "calibration", letterbox)

    assert all(count >= 1 for count in presence(few))
    assert not pictures(folder, "calibration") & (
        pictures(folder, "test") | pictures(folder, "val")
    )


def test_calibration_is_in_proportion_where_it_has_room(
    tmp_path: Path, zoo: Path, letterbox: Preprocess
) -> None:
    folder = prepare(tmp_path, rule(zoo, test=None, val=None, calibration=20))

    assert presence(load_scenes(folder, "calibration", letterbox)) == [20, 8, 2]


def test_calibration_never_takes_a_copy_of_a_test_image(tmp_path: Path) -> None:
    content = {"data.yaml": yaml("train", "test"), **images("test", [(0,)] * 5, 0)}
    content.update(images("train", [(0,)] * 9, 0))
    root = put(tmp_path / "zoo", content)
    folder = prepare(tmp_path, rule(root, val=None))

    assert len(pictures(folder, "calibration")) == 4
    assert not pictures(folder, "calibration") & pictures(folder, "test")
    refused(
        tmp_path / "more",
        rule(root, val=None, calibration=5),
        r"datasets\.zoo\.calibration is 5, but only 4 images are not also in val or test; lower",
    )


def test_images_without_objects_are_kept_and_calibrated_on(
    tmp_path: Path, letterbox: Preprocess
) -> None:
    some = [(0,)] * 10 + [()] * 10
    root = put(tmp_path / "zoo", {"data.yaml": yaml("train"), **images("train", some, 0)})
    folder = prepare(tmp_path, rule(root, test=10, val=None))
    counts = [len(own) for own in load_scenes(folder, "test", letterbox).classes]

    assert sorted(counts) == [0] * 5 + [1] * 5
    assert {len(own) for own in load_scenes(folder, "calibration", letterbox).classes} == {0, 1}


def test_own_splits_are_kept_and_an_evaluation_set_needs_no_train(tmp_path: Path) -> None:
    content = {"data.yaml": yaml("train", "val", "test")}
    for place, split in enumerate(("train", "val", "test")):
        content.update(images(split, [(0, 1)] * 6, 100 * place))
    root = put(tmp_path / "zoo", content)
    folder = prepare(tmp_path, rule(root))
    alone = prepare(tmp_path / "alone", rule(root, train=None, val=None))

    assert read_index(folder).counts == {"train": 6, "val": 6, "test": 6, "calibration": 4}
    assert pictures(folder, "test") == {
        v for k, v in content.items() if k.startswith("images/test")
    }
    assert pictures(folder, "calibration") < pictures(folder, "train")
    assert read_index(alone).counts == {"train": 0, "val": 0, "test": 6, "calibration": 4}


def test_the_first_part_of_a_split_is_like_the_whole(
    tmp_path: Path, zoo: Path, letterbox: Preprocess
) -> None:
    folder = prepare(tmp_path, rule(zoo, test=None, val=None))
    scenes = load_scenes(folder, "train", letterbox)
    first = sum(1 in own for own in scenes.classes[:20])

    assert 3 <= first <= 13


def test_the_seed_decides_and_nothing_else(tmp_path: Path, zoo: Path) -> None:
    tar = tmp_path / "zoo.tar"
    with tarfile.open(tar, "w") as archive:
        archive.add(zoo, "zoo")
    folders = [
        prepare(tmp_path / str(turn), rule(path), seed)
        for turn, (path, seed) in enumerate([(zoo, 1), (zoo, 1), (tar, 1), (zoo, 2)])
    ]
    first, again, packed, other = [files.sha256(f / "test.tar") for f in folders]

    assert files.sha256_folder(folders[0]) == files.sha256_folder(folders[1])
    assert first == again == packed != other


def test_a_damaged_image_is_named(tmp_path: Path, zoo: Path) -> None:
    (zoo / "images/train/007.png").write_bytes(picture(0)[:50])

    refused(tmp_path, rule(zoo), r"images/train/007\.png: truncated PNG")


def test_more_images_than_there_are_is_refused(tmp_path: Path, zoo: Path) -> None:
    refused(tmp_path, rule(zoo, test=41), r"datasets\.zoo\.test asks for 41 images, but 40 are")


def test_images_of_another_size_than_their_labels_say_are_all_named(tmp_path: Path) -> None:
    text = (
        "<annotation><size><width>20</width><height>30</height></size><object><name>ant</name>"
        "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        "</annotation>"
    )
    content = {}
    for place in range(10):
        content[f"Annotations/{place}.xml"] = text.encode()
        content[f"JPEGImages/{place}.png"] = picture(place, 30 if place > 1 else 20, 20)
    root = put(tmp_path / "zoo", content)

    refused(tmp_path, rule(root, source="voc"), r"(\n.*[01]\.png: is 20x20, .* say 20x30){2}$")


def test_faulty_labels_are_refused_or_left_out_aloud(
    tmp_path: Path, zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (zoo / "labels/train/007.txt").write_text("0 .5 .5 .2 .2\n9 .5 .5 .1 .1\n")
    refused(tmp_path, rule(zoo), r"007\.txt: line 2: class 9")
    folder = prepare(tmp_path, rule(zoo, on_bad_labels="drop"))

    assert sum(read_index(folder).counts.values()) == 44
    assert "1 faulty labels left out: " in capsys.readouterr().out


def test_scenes_are_generated_with_their_boxes(tmp_path: Path) -> None:
    dataset = rule(
        Path("edgesmith/data/scenes"),
        source="scenes",
        size=96,
        difficulty=0.3,
        train=6,
        val=None,
        test=3,
    )
    folder = prepare(tmp_path, dataset, seed=5)
    spec = Preprocess(height=96, width=96, resize="letterbox", mean=(0, 0, 0), std=(1, 1, 1))
    scenes = load_scenes(folder, "train", spec)
    made = [scene(5, "train", index, 96, 0.3) for index in range(6)]

    assert read_index(folder).counts == {"train": 6, "val": 0, "test": 3, "calibration": 4}
    for number, one in enumerate(made):
        assert np.allclose(scenes.boxes[number], one.boxes, atol=1e-4)
        assert scenes.classes[number].tolist() == one.classes.tolist()
        # Stored as JPEG: alike, not equal.
        assert cv2.PSNR(scenes.images[number], one.image) > 25
    refused(tmp_path / "all", dataset.model_copy(update={"test": 0}), "a generator has no end")


def test_keys_of_boxes_are_refused_for_classes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"augment\.mosaic: only for datasets with boxes"):
        rule(tmp_path, source="imagefolder", augment={"mosaic": 0.5})

    assert rule(tmp_path, augment={"mosaic": 0.5}).task == "detect"
    assert rule(tmp_path, source="imagefolder").task == "classify"


def test_real_blood_cells_keep_their_splits(tmp_path: Path, shared: Path) -> None:
    path = shared / "bccd.tar"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    folder = prepare(tmp_path, rule(path, source="voc", on_bad_labels="drop", calibration=64))
    spec = Preprocess(height=160, width=160, resize="letterbox", mean=(0, 0, 0), std=(1, 1, 1))
    scenes = load_scenes(folder, "calibration", spec)

    assert read_index(folder).counts == {"train": 205, "val": 87, "test": 72, "calibration": 64}
    assert all(count >= 30 for count in presence(scenes))
    # 640 x 480 pixels: 20 rows of grey above and below.
    assert np.concatenate(scenes.boxes)[:, 1].min() >= 20
    assert np.concatenate(scenes.boxes)[:, 3].max() <= 140
    assert scenes.sizes.tolist() == [[480, 640]] * 64
