from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesmith.data.labels.annotated import AnnotatedSource
from edgesmith.data.labels.coco import coco_instances
from edgesmith.data.tree import read_tree
from edgesmith.errors import DataError
from tests.data.conftest import picture, put

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}]


def image(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "file_name": name, "height": 20, "width": 40}


def box(number: int, bbox: list[float], category: int = 18, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": number, "category_id": category, "bbox": bbox, "area": 1, **more}


def instances(annotations: list[dict[str, Any]], *images: dict[str, Any], **more: Any) -> bytes:
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES, **more}
    return json.dumps(content).encode()


def dataset(tmp_path: Path, **jsons: bytes) -> Path:
    files = {f"annotations/{name}.json": content for name, content in jsons.items()}
    for folder, name in (("train2017", "a"), ("train2017", "b"), ("val2017", "c")):
        files[f"{folder}/{name}.png"] = picture(len(files), 20, 40)
    return put(tmp_path / "pets", files)


def read(root: Path, *, drop: bool = False) -> AnnotatedSource:
    return coco_instances(root, read_tree(root), "datasets.pets", drop=drop)


def refused(root: Path, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(root)


def test_splits_categories_and_boxes_are_read(tmp_path: Path) -> None:
    train = instances(
        [box(7, [10, 5, 20, 10]), box(9, [0, 0, 40, 20], 3)], image(7, "a.png"), image(9, "b.png")
    )
    root = dataset(
        tmp_path,
        instances_train2017=train,
        instances_val2017=instances([], image(7, "c.png")),
        captions_train2017=b"[]",
    )
    source = read(root)

    assert source.labels == ["cat", "dog"]
    assert [(e.name, e.split) for e in source.entries] == [
        ("a.png", "train"),
        ("b.png", "train"),
        ("c.png", "val"),
    ]
    assert np.allclose(source.entries[0].boxes, [(0.5, 0.5, 0.5, 0.5)])
    assert [entry.classes.tolist() for entry in source.entries] == [[1], [0], []]
    assert source.entries[0].size == (20, 40)


def test_crowds_are_left_out_and_counted(tmp_path: Path) -> None:
    content = instances(
        [box(7, [10, 5, 20, 10], iscrowd=1), box(7, [1, 1, 3, 3])], image(7, "a.png")
    )
    source = read(dataset(tmp_path, instances_train2017=content))

    assert len(source.entries[0].boxes) == 1
    assert any("1 crowds" in note for note in source.notes)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (box(8, [1, 1, 3, 3]), r"annotations\.1\.image_id: 8 is not among images"),
        (box(7, [1, 1, 3, 3], 4), r"annotations\.1\.category_id: 4 is not among categories"),
        (box(7, [1, 1, 3]), r"annotations\.1\.bbox: 3 numbers; it must be 4"),
        (box(7, [1, 1, 3, 0]), r"annotations\.1\.bbox: a box of width .* and height 0 holds"),
        (box(7, [30, 1, 12, 3]), r"annotations\.1\.bbox: a box from .* is outside the image"),
        (box(7, [2, 2, 5, 5]), r"annotations\.1\.bbox: the same object is there twice"),
    ],
)
def test_a_faulty_annotation_is_named_by_its_key(
    tmp_path: Path, annotation: dict[str, Any], message: str
) -> None:
    content = instances([box(7, [2, 2, 5, 5]), annotation], image(7, "a.png"))
    root = dataset(tmp_path, instances_train2017=content)

    refused(root, rf"1 faulty labels.*\n.*instances_train2017\.json: {message}")
    assert sum(len(e.boxes) for e in read(root, drop=True).entries) == 1 + ("outside" in message)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    content = instances([box(7, [2, 2, 5, 5])], image(7, "a.png"), image(8, "gone.png"))
    root = dataset(tmp_path, instances_train2017=content)

    refused(root, r"instances_train2017\.json: images\.1\.file_name: gone\.png: no such image")
    assert [entry.name for entry in read(root, drop=True).entries] == ["a.png"]


def test_of_images_of_the_same_name_that_of_the_split_is_taken(tmp_path: Path) -> None:
    content = instances([], image(7, "a.png"))
    root = dataset(tmp_path, instances_train2017=content, instances_val2017=content)
    put(root, {"val2017/a.png": picture(50, 20, 40)})

    assert [entry.where.split("/")[-2] for entry in read(root).entries] == ["train2017", "val2017"]
    put(root, {"one/a.png": picture(51), "two/a.png": picture(52)})
    (root / "train2017" / "a.png").unlink()
    (root / "val2017" / "a.png").unlink()
    refused(root, r"file_name: a\.png: 2 images are called so")


def test_exports_with_the_json_beside_the_images_are_read(tmp_path: Path) -> None:
    files = {}
    for split in ("train", "valid"):
        files[f"{split}/_annotations.coco.json"] = instances([], image(0, "a.png"))
        files[f"{split}/a.png"] = picture(len(files), 20, 40)
    source = read(put(tmp_path / "pets", files))

    assert [entry.split for entry in source.entries] == ["train", "val"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"instances_train2017\.json: the file: Invalid JSON"),
        (b'{"images": [], "annotations": []}', r"json: categories: Field required"),
        (
            instances([], {"id": 1, "file_name": "a.png"}),
            r"images\.0\.height: Field required",
        ),
        (instances([], image(1, "a.png"), image(1, "b.png")), "images: two have the same id"),
        (instances([], categories=[]), "categories: is empty"),
        (
            instances([], categories=[{"id": 1, "name": "x"}, {"id": 2, "name": "x"}]),
            "categories: the name 'x' is there twice",
        ),
    ],
)
def test_a_wrong_json_is_named_by_key(tmp_path: Path, content: bytes, message: str) -> None:
    refused(dataset(tmp_path, instances_train2017=content), message)


def test_files_with_other_categories_are_refused(tmp_path: Path) -> None:
    root = dataset(
        tmp_path,
        instances_train2017=instances([], image(1, "a.png")),
        instances_val2017=instances([], image(1, "c.png"), categories=CATEGORIES[:1]),
    )

    refused(root, r"instances_val2017\.json: categories: not those of .*instances_train2017\.json")


def test_a_folder_without_json_is_refused(tmp_path: Path) -> None:
    refused(dataset(tmp_path), "holds no JSON; expected annotations/instances_<split>.json")
