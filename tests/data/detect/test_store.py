from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgesmith import files
from edgesmith.data.classify.store import Sample, load_split, write_dataset
from edgesmith.data.detect.store import AnnotatedImage, load_scenes, write_scenes
from edgesmith.data.index import FILE, read_index
from edgesmith.errors import DataError
from edgesmith.preprocess import Preprocess, decode_image, fit
from tests.data.conftest import picture

LABELS = ["cat", "dog"]


def annotated(number: int, *objects: tuple[int, float, float, float, float]) -> AnnotatedImage:
    rows = np.array(objects, np.float64).reshape(-1, 5)
    content = picture(number, 20, 40)
    return AnnotatedImage(f"{number}.png", content, rows[:, 1:], rows[:, 0].astype(np.int64))


TRAIN = [annotated(7, (1, 0.5, 0.5, 0.5, 0.5), (0, 1 / 3, 0.1, 0.2, 0.1)), annotated(2)]


def store(folder: Path, train: list[AnnotatedImage] = TRAIN) -> Path:
    write_scenes(folder, LABELS, {"train": iter(train), "test": [annotated(3)]}, "a test")
    return folder


def refused(folder: Path, spec: Preprocess, message: str, split: str = "train") -> None:
    with pytest.raises(DataError, match=message):
        load_scenes(folder, split, spec)


def test_what_was_written_is_read_back_in_order(tmp_path: Path, letterbox: Preprocess) -> None:
    scenes = load_scenes(store(tmp_path / "pets"), "train", letterbox)

    assert len(scenes) == 2
    assert scenes.names == ["images/7.png", "images/2.png"]
    assert scenes.images.shape == (2, 64, 64, 3)
    assert np.array_equal(scenes.images[0], fit(decode_image(TRAIN[0].content, ""), letterbox))
    assert scenes.sizes.tolist() == [[20, 40], [20, 40]]
    assert scenes.classes[0].tolist() == [1, 0]
    assert scenes.classes[1].dtype == np.int64
    assert scenes.boxes[1].shape == (0, 4)


def test_boxes_are_in_pixels_of_the_fitted_image(tmp_path: Path, letterbox: Preprocess) -> None:
    """40 x 20 pixels become 64 x 32 with 16 rows of grey above."""
    scenes = load_scenes(store(tmp_path / "pets"), "train", letterbox)

    assert scenes.boxes[0].dtype == np.float32
    assert np.allclose(scenes.boxes[0][0], (16, 16 + 8, 48, 16 + 24))
    assert np.allclose(scenes.boxes[0][1], (14.9333, 16 + 1.6, 27.7333, 16 + 4.8), atol=1e-3)


def test_the_tar_is_in_the_yolo_layout_with_exact_floats(tmp_path: Path) -> None:
    with tarfile.open(store(tmp_path / "pets") / "train.tar") as tar:
        assert tar.getnames() == ["images/7.png", "labels/7.txt", "images/2.png", "labels/2.txt"]
        text = tar.extractfile("labels/7.txt").read().decode()  # type: ignore[union-attr]
        assert all(m.mtime == m.uid == m.gid == 0 and not m.uname for m in tar)

    assert text == "1 0.5 0.5 0.5 0.5\n0 0.3333333333333333 0.1 0.2 0.1\n"


def test_equal_datasets_have_equal_bytes_and_an_index(tmp_path: Path) -> None:
    first, again = store(tmp_path / "first"), store(tmp_path / "again")

    assert files.sha256_folder(first) == files.sha256_folder(again)
    assert read_index(first).task == "detect"
    assert read_index(first).counts == {"train": 2, "val": 0, "test": 1, "calibration": 0}


def test_an_empty_split_is_an_empty_array(tmp_path: Path, letterbox: Preprocess) -> None:
    scenes = load_scenes(store(tmp_path / "pets"), "val", letterbox)

    assert scenes.images.shape == (0, 64, 64, 3)
    assert scenes.boxes == []


def test_two_images_that_share_their_labels_file_are_refused(tmp_path: Path) -> None:
    twin = AnnotatedImage("7.jpg", TRAIN[0].content, TRAIN[0].boxes, TRAIN[0].classes)
    with pytest.raises(DataError, match=r"train: 7\.png and 7\.jpg would share labels/7\.txt"):
        store(tmp_path / "pets", [*TRAIN, twin])

    assert not (tmp_path / "pets").exists()


def test_damage_is_named(tmp_path: Path, letterbox: Preprocess) -> None:
    folder = store(tmp_path / "pets")
    path = folder / "train.tar"
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    refused(folder, letterbox, r"train\.tar: damaged: its hash is not the one in dataset\.json")
    path.unlink()
    refused(folder, letterbox, r"train\.tar: cannot be read")
    refused(folder, letterbox, "has no split 'dev'; it has train", split="dev")
    refused(tmp_path / "none", letterbox, r"dataset\.json: cannot be read")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"5 .5 .5 .1 .1\n", r"labels of images/7\.png: not the classes and boxes"),
        (b"0 .5 .5 .1\n", r"labels of images/7\.png: not the classes and boxes"),
        (None, r"images/7\.png: no labels follow it"),
    ],
)
def test_a_tar_that_another_program_made_is_refused(
    tmp_path: Path, letterbox: Preprocess, line: bytes | None, message: str
) -> None:
    folder = store(tmp_path / "pets", TRAIN[:1])
    loose = tmp_path / "loose"
    with tarfile.open(folder / "train.tar") as tar:
        tar.extractall(loose)  # ours, written above; Python 3.11.2 has no filters
    with tarfile.open(folder / "train.tar", "w") as tar:
        tar.add(loose / "images/7.png", "images/7.png")
        if line is not None:
            (loose / "labels/7.txt").write_bytes(line)
            tar.add(loose / "labels/7.txt", "labels/7.txt")
    index = json.loads((folder / FILE).read_text())
    index["splits"]["train"]["sha256"] = files.sha256(folder / "train.tar")
    (folder / FILE).write_text(json.dumps(index))

    refused(folder, letterbox, message)


def test_boxes_and_classes_are_not_taken_for_one_another(
    tmp_path: Path, spec: Preprocess, letterbox: Preprocess
) -> None:
    boxes = store(tmp_path / "boxes")
    samples = [Sample(k, f"{k}.png", picture(k)) for k in range(2)]
    write_dataset(tmp_path / "classes", LABELS, {"train": samples}, "a test")

    refused(tmp_path / "classes", letterbox, "classes: holds classes, not boxes; use it for a")
    refused(boxes, spec, "need an input with `resize: letterbox`, not stretch")
    with pytest.raises(DataError, match="boxes: holds boxes, not classes; use it for a detector"):
        load_split(boxes, "train", spec)


def test_classification_is_stored_as_before_there_was_detection(tmp_path: Path) -> None:
    samples = [Sample(k, f"{k}.png", picture(k)) for k in range(2)]
    write_dataset(tmp_path / "classes", LABELS, {"train": samples}, "a test")
    content = json.loads((tmp_path / "classes" / FILE).read_text())

    assert list(content) == ["version", "source", "labels", "splits"]
    assert read_index(tmp_path / "classes").task == "classify"
