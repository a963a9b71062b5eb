"""Images with boxes in the YOLO layout: a dataset YAML, image folders, a text file per image.

Format: https://docs.ultralytics.com/datasets/detect/. As Ultralytics does, an image without a label
file is one without objects, and a polygon stands for its bounding box.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from edgesmith.data.folders import SPLIT_FOLDERS
from edgesmith.data.labels.annotated import (
    AnnotatedEntry,
    AnnotatedSource,
    Centred,
    Faults,
    Found,
    shown_files,
)
from edgesmith.data.tree import File, Parts, Tree
from edgesmith.errors import DataError

# A box this far over the border is one that was rounded to three digits.
_SLACK = (1e-3, 1e-3)
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class _Description:
    """The dataset YAML: its file, class names in order, what it says of each split."""

    file: File
    names: list[str]
    root: Parts
    splits: dict[str, list[str]]


def yolo_layout(path: Path, tree: Tree, key: str, *, drop: bool) -> AnnotatedSource:
    """The images of a YOLO dataset with their boxes; splits are those of the dataset YAML.

    `path` names it to the user, `key` is the dataset's in params.yaml; `drop` leaves faulty labels
    out. Raises DataError naming YAML and key, or every faulty label by file and line.
    """
    about = _description(path, tree)
    by_parts = {file.parts: file for file in tree.files}
    splits, notes = _images(path, tree, by_parts, about)
    faults = Faults(drop)
    entries, without, used = [], [], set()
    for split, (root, image) in splits:
        label = by_parts.get(_label_parts(image.parts))
        if label is None:
            without.append(image.where)
        else:
            used.add(label.parts)
        boxes, classes = faults.sound(_objects(label, about, faults) if label else [])
        name = "_".join(image.parts[len(root) :])
        entries.append(AnnotatedEntry(split, name, image.where, image.load, boxes, classes))
    notes += faults.settle(path, key)
    if not used:
        raise DataError(
            f"{path}: no image has a label file; they are expected in labels/ beside images/, "
            "one .txt per image"
        )
    if without:
        notes.append(f"{path}: {len(without)} images without a label file: no objects in them")
    labels = [file for file in tree.files if "labels" in file.parts[:-1] and _is_text(file)]
    alone = [file.where for file in labels if file.parts not in used]
    if alone:
        files = shown_files(path, alone)
        notes.append(f"{path}: {len(alone)} label files without an image left out: {files}")
    return AnnotatedSource(about.names, entries, notes)


def _description(path: Path, tree: Tree) -> _Description:
    """The one YAML at the top that holds `names`."""
    found: list[tuple[File, dict[str, Any]]] = []
    for file in tree.files:
        if len(file.parts) > 1 or PurePosixPath(file.parts[-1]).suffix not in {".yaml", ".yml"}:
            continue
        try:
            content = yaml.safe_load(file.load())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DataError(f"{file.where}: not valid YAML: {error}") from error
        if isinstance(content, dict) and "names" in content:
            found.append((file, content))
    if len(found) != 1:
        raise DataError(
            f"{path}: {len(found)} YAML files with `names` at its top; one data.yaml is needed, "
            "with names, train and val"
        )
    file, content = found[0]
    splits = {split: _paths(file, split, content.get(split)) for split in _SPLITS}
    root = _parts(str(content.get("path") or ""))
    return _Description(file, _names(file, content["names"]), root, splits)


def _names(file: File, names: object) -> list[str]:
    """Class names in order, from a list or from a mapping of their numbers."""
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise DataError(f"{file.where}: names: its keys must be 0 to {len(names) - 1}")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{file.where}: names: must be a list of class names, or 0: name, 1: …")
    texts: list[str] = [str(name) for name in names]
    for text in texts:
        if texts.count(text) > 1:
            raise DataError(f"{file.where}: names: {text!r} is there twice; rename one")
    return texts


def _paths(file: File, key: str, value: object) -> list[str]:
    paths: list[str] = []
    for text in value if isinstance(value, list) else [value] if value else []:
        if not isinstance(text, str):
            raise DataError(f"{file.where}: {key} is {text!r}; it must be a folder or a .txt file")
        paths.append(text)
    return paths


def _images(
    path: Path, tree: Tree, by_parts: dict[Parts, File], about: _Description
) -> tuple[list[tuple[str, tuple[Parts, File]]], list[str]]:
    """Every image with its split and the folder that its name is relative to."""
    if not any(about.splits.values()):
        return _by_folder(path, tree), []
    listed = {
        split: [found for text in texts for found in _listed(about, split, text, tree, by_parts)]
        for split, texts in about.splits.items()
    }
    notes = []
    train = {file.parts for _, file in listed["train"]}
    for split in ("val", "test"):
        own = {file.parts for _, file in listed[split]}
        if own and own == train:
            # Small examples such as COCO128 are validated on what they were trained on.
            notes.append(
                f"{about.file.where}: {split} is the same as train; {split} is carved out of it"
            )
            listed[split] = []
        elif own & train:
            example = "/".join(min(own & train))
            raise DataError(
                f"{about.file.where}: {split}: {example} is in train too ({len(own & train)} such "
                "images); remove them from one of the two"
            )
    return [(split, found) for split in _SPLITS for found in listed[split]], notes


def _listed(
    about: _Description, split: str, text: str, tree: Tree, by_parts: dict[Parts, File]
) -> list[tuple[Parts, File]]:
    """The images of a folder, or those that a text file lists, each with its folder."""
    for parts in (_parts(text), about.root + _parts(text)):
        if parts in by_parts:
            return _of_list(by_parts[parts], by_parts)
        images = [f for f in tree.files if f.is_image and f.parts[: len(parts)] == parts]
        if images:
            return [(parts, image) for image in images]
    raise DataError(
        f"{about.file.where}: {split}: no image is in {text}; correct the path or remove the key"
    )


def _of_list(file: File, by_parts: dict[Parts, File]) -> list[tuple[Parts, File]]:
    found = []
    for number, line in enumerate(file.load().decode(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        own = _parts(line.strip())
        image = by_parts.get((*file.parts[:-1], *own)) or by_parts.get(own)
        if image is None:
            raise DataError(
                f"{file.where}: line {number}: {line.strip()} is not in the dataset; "
                "correct the path or remove the line"
            )
        found.append((image.parts[:-1], image))
    return found


def _parts(text: str) -> Parts:
    """A path without what leads out of the dataset: exports of Roboflow say ../train/images."""
    return tuple(part for part in PurePosixPath(text).parts if part not in {"..", ".", "/"})


def _by_folder(path: Path, tree: Tree) -> list[tuple[str, tuple[Parts, File]]]:
    """Images below `images`, in splits by a folder around it or in it that is named so."""
    found = []
    for file in tree.files:
        folders = file.parts[:-1]
        if not file.is_image or "images" not in folders:
            continue
        place = folders.index("images")
        beside = [(folders[:place][-1:], place + 1), (folders[place + 1 : place + 2], place + 2)]
        split, depth = "", place + 1
        for names, end in beside:
            if names and names[0].lower() in SPLIT_FOLDERS:
                split, depth = SPLIT_FOLDERS[names[0].lower()], end
        found.append((split, (folders[:depth], file)))
    if not found:
        raise DataError(f"{path}: no image is below images/; say train and val in its YAML")
    return found


def _label_parts(image: Parts) -> Parts:
    """Where the labels of an image are: the last `images` of its path is `labels`."""
    folders = list(image[:-1])
    for place in reversed(range(len(folders))):
        if folders[place] == "images":
            folders[place] = "labels"
            break
    return (*folders, PurePosixPath(image[-1]).with_suffix(".txt").name)


def _is_text(file: File) -> bool:
    return file.parts[-1].endswith(".txt")


def _objects(file: File, about: _Description, faults: Faults) -> list[Found]:
    try:
        lines = file.load().decode().splitlines()
    except UnicodeDecodeError:
        faults.add(file.where, "not a text file")
        return []
    found = []
    for number, line in enumerate(lines, 1):
        columns = line.split()
        if not columns:
            continue
        place = f"line {number}"
        try:
            values = [float(column) for column in columns]
        except ValueError:
            faults.add(file.where, f"{place}: {line.strip()[:60]!r} are not numbers")
            continue
        if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
            faults.add(
                file.where,
                f"{place}: {len(values)} columns; a box has 5 (class x y width height), "
                "a polygon 1 and two for each of three or more points",
            )
        elif values[0] not in range(len(about.names)):
            faults.add(
                file.where,
                f"{place}: class {columns[0]} is not one of the {len(about.names)} of "
                f"{about.file.parts[-1]} (0 to {len(about.names) - 1})",
            )
        else:
            box = _box(values[1:])
            found.append(Found(file.where, place, int(values[0]), box, _SLACK))
    return found


def _box(values: list[float]) -> Centred:
    if len(values) == 4:
        return values[0], values[1], values[2], values[3]
    left, right = min(values[0::2]), max(values[0::2])
    top, bottom = min(values[1::2]), max(values[1::2])
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
