"""Sources whose folders name the classes: image folders and ImageNet-style synset folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesmith.data.tree import File, Tree
from edgesmith.errors import DataError

SYNSETS = "synsets.txt"

SPLIT_FOLDERS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True)
class Entry:
    """One image of a source: the split it came in ("" when the source has no splits), its label.

    `where` names it to a user, `load` gives its encoded bytes.
    """

    split: str
    label: int
    name: str
    where: str
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """A source before splitting: labels in order, and every image."""

    labels: list[str]
    entries: list[Entry]


def image_folder(path: Path, tree: Tree) -> Source:
    """The images of a tree `split/class/image` or `class/image`; `path` names it to the user.

    Labels are the class folders in name order; with splits, those of `train`. Raises DataError when
    a class is empty, twice there after case folding, or in another split but not in train.
    """
    labels = {folder[-1] for split, folder in _class_folders(path, tree) if split in ("", "train")}
    return _source(path, tree, sorted(labels), "among the folders of train")


def synset_folder(path: Path, tree: Tree) -> Source:
    """The images of a tree like an image folder, with `synsets.txt`: all labels, in class order.

    The labels are the whole list, whatever part of it has images: a network trained on all of
    ImageNet is evaluated on some of its classes. Of each line the first word counts.
    """
    lists = [file for file in tree.files if file.parts == (SYNSETS,)]
    if not lists:
        raise DataError(f"{path}: holds no {SYNSETS}; add it, one synset per line in class order")
    lines = lists[0].load().decode().splitlines()
    labels = [line.split()[0] for line in lines if line.strip()]
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"{lists[0].where}: {twice} is there twice; remove one line")
    return _source(path, tree, labels, f"in {SYNSETS}")


def _source(path: Path, tree: Tree, labels: list[str], among: str) -> Source:
    folders = _class_folders(path, tree)
    numbers = {label: number for number, label in enumerate(labels)}
    _refuse_alike(path, labels)
    images: dict[tuple[str, ...], list[File]] = {folder: [] for _, folder in folders}
    for file in tree.files:
        if not file.is_image:
            continue
        if file.parts[:-1] not in images:
            raise DataError(
                f"{file.where}: not where an image is expected; "
                "the layout is split/class/image or class/image"
            )
        images[file.parts[:-1]].append(file)
    entries = []
    for split, folder in folders:
        shown = f"{path}: {'/'.join(folder)}"
        if folder[-1] not in numbers:
            raise DataError(f"{shown}: {folder[-1]!r} is not {among}; rename or remove the folder")
        if not images[folder]:
            raise DataError(f"{shown}: holds no image; add images or remove the folder")
        number = numbers[folder[-1]]
        entries += [
            Entry(split, number, file.parts[-1], file.where, file.load) for file in images[folder]
        ]
    if len({entry.label for entry in entries}) < 2:
        raise DataError(
            f"{path}: holds images of {len({entry.label for entry in entries})} classes; "
            "a classifier needs 2: one folder per class"
        )
    return Source(labels, entries)


def _class_folders(path: Path, tree: Tree) -> list[tuple[str, tuple[str, ...]]]:
    """Every class folder with the split that it is in."""
    top = [folder[0] for folder in tree.folders if len(folder) == 1]
    if top and all(name.lower() in SPLIT_FOLDERS for name in top):
        return [
            (SPLIT_FOLDERS[folder[0].lower()], folder)
            for folder in tree.folders
            if len(folder) == 2
        ]
    if not top:
        raise DataError(f"{path}: holds no class folders; the layout is class/image")
    return [("", folder) for folder in tree.folders if len(folder) == 1]


def _refuse_alike(path: Path, labels: list[str]) -> None:
    """Two labels that differ in case alone are one folder on some file systems."""
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other != label:
            raise DataError(
                f"{path}: the classes {other!r} and {label!r} differ in upper and lower case only; "
                "rename or merge one"
            )
