from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesmith.data.labels.annotated import AnnotatedSource
from edgesmith.data.labels.voc import voc_layout
from edgesmith.data.tree import read_tree
from edgesmith.errors import DataError
from tests.data.conftest import picture, put

CAT = (
    "<object><name>cat</name><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
SIZE = "<size><width>40</width><height>20</height><depth>3</depth></size>"


def cat(*edges: object, name: str = "cat", difficult: int = 0) -> str:
    text = CAT.format(*edges).replace("<name>cat", f"<name>{name}")
    return text.replace("<bndbox>", f"<difficult>{difficult}</difficult>\n<bndbox>")


def xml(*objects: str, size: str = SIZE) -> bytes:
    return "\n".join(["<annotation>", size, *objects, "</annotation>"]).encode()


def dataset(tmp_path: Path, lists: dict[str, str] | None = None, **annotations: bytes) -> Path:
    files = {}
    for number, (name, content) in enumerate(annotations.items()):
        files[f"VOC/Annotations/{name}.xml"] = content
        files[f"VOC/JPEGImages/{name}.png"] = picture(number, 20, 40)
    for name, text in (lists or {}).items():
        files[f"VOC/ImageSets/Main/{name}.txt"] = text.encode()
    return put(tmp_path / "pets", {"LICENSE": b"free", **files})


def read(root: Path, *, drop: bool = False) -> AnnotatedSource:
    return voc_layout(root, read_tree(root), "datasets.pets", drop=drop)


def refused(root: Path, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(root)


def test_the_first_pixel_is_one_and_the_last_is_inside(tmp_path: Path) -> None:
    source = read(dataset(tmp_path, a=xml(cat(1, 1, 40, 20), cat(11, 6, 20, 10, name="ant"))))

    assert source.labels == ["ant", "cat"]
    assert np.allclose(
        source.entries[0].boxes, [(0.5, 0.5, 1, 1), (15 / 40, 7.5 / 20, 10 / 40, 5 / 20)]
    )
    assert source.entries[0].classes.tolist() == [1, 0]
    assert source.entries[0].size == (20, 40)
    assert source.entries[0].split == ""


def test_lists_say_the_split_and_who_is_in_none_is_left_out(tmp_path: Path) -> None:
    lists = {"train": "a\n\n", "test": "b  1\n", "trainval": "a\nb\n", "cat_train": "c 1\n"}
    source = read(dataset(tmp_path, lists, **dict.fromkeys("abc", xml(cat(2, 2, 9, 9)))))

    assert [(e.name, e.split) for e in source.entries] == [("a.png", "train"), ("b.png", "test")]
    assert any("1 images are in no list" in note for note in source.notes)


def test_trainval_alone_is_train(tmp_path: Path) -> None:
    root = dataset(tmp_path, {"trainval": "a\n"}, a=xml(cat(2, 2, 9, 9)))

    assert [entry.split for entry in read(root).entries] == ["train"]


def test_difficult_objects_are_left_out_and_counted(tmp_path: Path) -> None:
    source = read(dataset(tmp_path, a=xml(cat(2, 2, 9, 9), cat(3, 3, 9, 9, difficult=1))))

    assert len(source.entries[0].boxes) == 1
    assert any("1 objects marked difficult left out: " in note for note in source.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xml(cat(5, 5, 5, 9)), r"line 3: cat: a box from 5 5 5 9 holds nothing"),
        (xml(cat(5, 5, 9, 4)), r"line 3: cat: a box from 5 5 9 4 holds nothing"),
        (xml(cat(2, 2, 9, 9), cat(30, 5, 43, 9)), r"line 5: cat: a box from .* is outside"),
        (xml(cat(2, 2, 9, 9), cat(2, 2, 9, 9)), r"line 5: cat: the same object is there twice"),
        (xml(cat(2, 2, "x", 9)), r"line 3: cat: bndbox must hold four numbers"),
        (xml("<object><name>cat</name></object>"), r"line 3: cat: bndbox must hold four"),
        (xml(cat(2, 2, 9, 9, name="")), r"line 3: object: its name is missing"),
        (xml(size=""), r"size: width and height must be whole numbers above 0"),
        (xml("<object>"), r"not readable XML \(mismatched tag: line 4"),
        (b"", r"not readable XML \(no element found"),
        (
            b'<!DOCTYPE a [<!ENTITY x "xxxx">]>\n<annotation>&x;</annotation>',
            r"not readable XML \(a DOCTYPE is not allowed",
        ),
        (
            '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><annotation/>'.encode("utf-16"),
            r"not readable XML \(a DOCTYPE is not allowed",
        ),
    ],
)
def test_a_fault_is_named_by_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    root = dataset(tmp_path, good=xml(cat(2, 2, 9, 9)), bad=content)

    refused(root, rf"1 faulty labels.*\n.*bad\.xml: {message}")
    (note,) = read(root, drop=True).notes
    assert "1 faulty labels left out: " in note or "1 boxes cut at the image's border" in note


def test_a_pixel_over_the_border_is_cut(tmp_path: Path) -> None:
    entry = read(dataset(tmp_path, a=xml(cat(0, 0, 41, 21)))).entries[0]

    assert np.allclose(entry.boxes, [(0.5, 0.5, 1, 1)])


def test_missing_images_and_annotations_are_named(tmp_path: Path) -> None:
    sound = dict.fromkeys("ab", xml(cat(2, 2, 9, 9)))
    root = dataset(tmp_path, {"train": "a\nzz\n", "val": "a\n"}, **sound)
    (root / "VOC/JPEGImages/b.png").unlink()
    with pytest.raises(DataError) as raised:
        read(root)
    message = str(raised.value)

    assert "3 faulty labels" in message
    assert "b.xml: no image JPEGImages/b.*" in message
    assert "train.txt: line 2: zz has no sound annotation with image" in message
    assert "val.txt: line 1: a is in train already" in message


def test_two_datasets_or_none_are_refused(tmp_path: Path) -> None:
    two = {f"{k}/Annotations/a.xml": xml() for k in ("VOC2007", "VOC2012")}

    refused(put(tmp_path / "two", two), "found VOC2007, VOC2012; give the path of one")
    refused(put(tmp_path / "none", {"a/b.png": picture(0)}), "found none")


def test_a_dataset_without_objects_is_refused(tmp_path: Path) -> None:
    refused(dataset(tmp_path, a=xml()), "no annotation holds an object")


def test_real_blood_cells(shared: Path) -> None:
    path = shared / "bccd.tar"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    tree = read_tree(path)
    with pytest.raises(DataError) as raised:
        voc_layout(path, tree, "datasets.bccd", drop=False)
    source = voc_layout(path, tree, "datasets.bccd", drop=True)
    splits = [entry.split for entry in source.entries]

    # Two clicks that were not dragged are all that is wrong with it.
    assert "2 faulty labels" in str(raised.value)
    assert "BloodImage_00338.xml: line 158: RBC" in str(raised.value)
    assert "BloodImage_00343.xml: line 50: RBC" in str(raised.value)
    assert source.labels == ["Platelets", "RBC", "WBC"]
    assert [splits.count(name) for name in ("train", "val", "test")] == [205, 87, 72]
    assert sum(len(entry.boxes) for entry in source.entries) == 4886
