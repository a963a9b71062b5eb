"""Images with boxes as Pascal VOC describes them: an XML per image, lists of images per split.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html. The first pixel of a
row is 1, and a box holds its last pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from edgesmith.data.labels.annotated import (
    AnnotatedEntry,
    AnnotatedSource,
    Faults,
    Found,
    shown_files,
)
from edgesmith.data.tree import File, Parts, Tree
from edgesmith.errors import DataError

_LISTS = {"train": "train", "val": "val", "test": "test"}
_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, eq=False)
class _Object:
    """An object of an annotation: its line, its name, x1 y1 x2 y2 in pixels from 0."""

    line: int
    name: str
    edges: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class _Annotation:
    file: File
    image: File
    height: int
    width: int
    objects: list[_Object]


def voc_layout(path: Path, tree: Tree, key: str, *, drop: bool) -> AnnotatedSource:
    """The images of `JPEGImages` with the boxes of `Annotations`, split by `ImageSets/Main`.

    Labels are the names of objects, sorted. Objects marked difficult are left out, as in VOC's own
    evaluation. `path` names the dataset to the user, `key` is its key in params.yaml; `drop` leaves
    faulty labels out. Raises DataError naming every faulty label by file and line.
    """
    root = _root(path, tree)
    faults = Faults(drop)
    parsed: dict[str, _Annotation] = {}
    difficult: list[str] = []
    images = {
        PurePosixPath(file.parts[-1]).stem: file
        for file in tree.files
        if file.is_image and file.parts[:-1] == (*root, "JPEGImages")
    }
    for file in tree.files:
        if file.parts[:-1] == (*root, "Annotations") and file.parts[-1].endswith(".xml"):
            stem = PurePosixPath(file.parts[-1]).stem
            if stem not in images:
                faults.add(file.where, f"no image JPEGImages/{stem}.*")
                continue
            annotation = _annotation(file, images[stem], faults, difficult)
            if annotation is not None:
                parsed[stem] = annotation
    labels = sorted({one.name for annotation in parsed.values() for one in annotation.objects})
    numbers = {name: number for number, name in enumerate(labels)}
    splits = _splits(tree, root, parsed, faults)
    entries = [_entry(parsed[stem], split, numbers, faults) for stem, split in splits.items()]
    notes = faults.settle(path, key)
    if not labels:
        raise DataError(f"{path}: no annotation holds an object; there is nothing to detect")
    if len(splits) < len(parsed):
        notes.append(
            f"{path}: {len(parsed) - len(splits)} images are in no list of ImageSets/Main and "
            "left out"
        )
    if difficult:
        files = shown_files(path, difficult)
        notes.append(f"{path}: {len(difficult)} objects marked difficult left out: {files}")
    return AnnotatedSource(labels, entries, notes)


def _root(path: Path, tree: Tree) -> Parts:
    """The one folder that holds `Annotations`."""
    found = [folder[:-1] for folder in tree.folders if folder[-1] == "Annotations"]
    if len(found) != 1:
        shown = ", ".join("/".join(folder) for folder in found) or "none"
        raise DataError(
            f"{path}: expected one folder with Annotations, JPEGImages and perhaps ImageSets; "
            f"found {shown}; give the path of one"
        )
    return found[0]


def _splits(
    tree: Tree, root: Parts, parsed: dict[str, _Annotation], faults: Faults
) -> dict[str, str]:
    """The split of every image that a list names; "" for all where there are no lists."""
    lists = {
        file.parts[-1].removesuffix(".txt"): file
        for file in tree.files
        if file.parts[:-1] == (*root, "ImageSets", "Main")
    }
    names = _LISTS if _LISTS.keys() & lists.keys() else {"trainval": "train"}
    splits: dict[str, str] = {}
    for name, split in names.items():
        if name not in lists:
            continue
        file = lists[name]
        for number, line in enumerate(file.load().decode(errors="replace").splitlines(), 1):
            stem = line.split()[0] if line.split() else ""
            if not stem:
                continue
            if stem not in parsed:
                faults.add(file.where, f"line {number}: {stem} has no sound annotation with image")
            elif stem in splits:
                faults.add(file.where, f"line {number}: {stem} is in {splits[stem]} already")
            else:
                splits[stem] = split
    return splits or dict.fromkeys(parsed, "")


def _entry(
    annotation: _Annotation, split: str, numbers: dict[str, int], faults: Faults
) -> AnnotatedEntry:
    wide, high = annotation.width, annotation.height
    found = []
    for one in annotation.objects:
        x1, y1, x2, y2 = one.edges
        box = ((x1 + x2) / 2 / wide, (y1 + y2) / 2 / high, (x2 - x1) / wide, (y2 - y1) / high)
        place = f"line {one.line}: {one.name}"
        found.append(
            Found(annotation.file.where, place, numbers[one.name], box, (1 / wide, 1 / high))
        )
    boxes, classes = faults.sound(found)
    image = annotation.image
    size = (high, wide)
    return AnnotatedEntry(split, image.parts[-1], image.where, image.load, boxes, classes, size)


def _annotation(
    file: File, image: File, faults: Faults, difficult: list[str]
) -> _Annotation | None:
    """One XML; None where the whole of it cannot be used."""
    try:
        root, lines = _parse(file.load())
    except (expat.ExpatError, _DeclarationError) as error:
        faults.add(file.where, f"not readable XML ({error})")
        return None
    height, width = (_number(root, f"size/{edge}") for edge in ("height", "width"))
    if not (height > 0 and width > 0 and height.is_integer() and width.is_integer()):
        faults.add(file.where, "size: width and height must be whole numbers above 0")
        return None
    objects = []
    for element in root.findall("object"):
        line = lines[element]
        name = (element.findtext("name") or "").strip()
        if (element.findtext("difficult") or "0").strip() == "1":
            difficult.append(file.where)
            continue
        edges = [_number(element, f"bndbox/{edge}") for edge in _EDGES]
        if not name:
            faults.add(file.where, f"line {line}: object: its name is missing")
        elif not all(math.isfinite(edge) for edge in edges):
            faults.add(
                file.where, f"line {line}: {name}: bndbox must hold four numbers xmin to ymax"
            )
        elif edges[2] <= edges[0] or edges[3] <= edges[1]:
            # A box of one pixel in a row or column is a click that was not dragged.
            shown = " ".join(f"{edge:g}" for edge in edges)
            faults.add(file.where, f"line {line}: {name}: a box from {shown} holds nothing")
        else:
            x1, y1, x2, y2 = edges
            objects.append(_Object(line, name, (x1 - 1, y1 - 1, x2, y2)))
    return _Annotation(file, image, int(height), int(width), objects)


def _number(element: Element, place: str) -> float:
    """The number at a path below `element`; NaN where there is none."""
    try:
        return float(element.findtext(place) or "nan")
    except ValueError:
        return math.nan


class _DeclarationError(Exception):
    """A document type: entities grow without bound or read other files; labels need neither."""


def _parse(content: bytes) -> tuple[Element, dict[Element, int]]:
    """The root of an XML document and the line of every element."""
    parser, builder = expat.ParserCreate(), TreeBuilder()
    lines: dict[Element, int] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    def refuse(*_: object) -> None:
        raise _DeclarationError("a DOCTYPE is not allowed; remove it")

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(content, True)
    return builder.close(), lines
