"""Images with boxes as COCO describes them: one JSON per split beside the image folders.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height in pixels from the
image's top left corner.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesmith.data.folders import SPLIT_FOLDERS
from edgesmith.data.labels.annotated import AnnotatedEntry, AnnotatedSource, Faults, Found
from edgesmith.data.tree import File, Parts, Tree
from edgesmith.errors import DataError

# Files of COCO itself and of Roboflow; anything else only where there are none of them.
_NAMES = (re.compile(r"instances_.*\.json"), re.compile(r".*_annotations\.coco\.json"))


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Image(_Part):
    id: int
    file_name: str
    height: int = Field(gt=0)
    width: int = Field(gt=0)


class _Annotation(_Part):
    image_id: int
    category_id: int
    bbox: list[float]
    iscrowd: int = 0


class _Category(_Part):
    id: int
    name: str


class _Instances(_Part):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def coco_instances(path: Path, tree: Tree, key: str, *, drop: bool) -> AnnotatedSource:
    """The images that the JSON files of a COCO dataset name, with their boxes.

    Labels are the categories in the order of their ids. Crowds are left out. `path` names it to the
    user, `key` is the dataset's in params.yaml; `drop` leaves faulty labels out. Raises DataError
    naming file and key, or every faulty annotation.
    """
    files = _json_files(path, tree)
    described = [(file, _parse(file)) for file in files]
    categories = _categories(described)
    numbers = {category.id: number for number, category in enumerate(categories)}
    images: dict[str, list[File]] = defaultdict(list)
    for file in tree.files:
        if file.is_image:
            images[file.parts[-1]].append(file)
    faults = Faults(drop)
    entries: list[AnnotatedEntry] = []
    crowds = 0
    for file, content in described:
        crowds += sum(1 for one in content.annotations if one.iscrowd)
        entries += _entries(file, content, numbers, images, faults)
    notes = faults.settle(path, key)
    if crowds:
        notes.append(f"{path}: {crowds} crowds (iscrowd) left out")
    return AnnotatedSource([category.name for category in categories], entries, notes)


def _json_files(path: Path, tree: Tree) -> list[File]:
    files = [file for file in tree.files if file.parts[-1].endswith(".json")]
    for pattern in _NAMES:
        known = [file for file in files if pattern.fullmatch(file.parts[-1])]
        if known:
            return known
    if not files:
        raise DataError(f"{path}: holds no JSON; expected annotations/instances_<split>.json")
    return files


def _parse(file: File) -> _Instances:
    try:
        return _Instances.model_validate_json(file.load())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"{file.where}: {where}: {first['msg']}; correct it, or remove the file if it does "
            "not hold boxes"
        ) from error


def _categories(described: list[tuple[File, _Instances]]) -> list[_Category]:
    """The categories, by id; the same in every file."""
    first, content = described[0]
    categories = sorted(content.categories, key=lambda category: category.id)
    for file, other in described[1:]:
        if sorted(other.categories, key=lambda category: category.id) != categories:
            raise DataError(
                f"{file.where}: categories: not those of {first.where}; write the same ids and "
                "names in both"
            )
    names = [category.name for category in categories]
    ids = [category.id for category in categories]
    for kind, values in (("name", names), ("id", ids)):
        twice = next((value for value in values if values.count(value) > 1), None)  # type: ignore[arg-type]
        if twice is not None:
            raise DataError(f"{first.where}: categories: the {kind} {twice!r} is there twice")
    if not categories:
        raise DataError(f"{first.where}: categories: is empty; name the classes of the boxes")
    return categories


def _entries(
    file: File,
    content: _Instances,
    numbers: dict[int, int],
    images: dict[str, list[File]],
    faults: Faults,
) -> list[AnnotatedEntry]:
    split = _split(file)
    known = {image.id: image for image in content.images}
    if len(known) != len(content.images):
        raise DataError(f"{file.where}: images: two have the same id; number them anew")
    objects: dict[int, list[Found]] = defaultdict(list)
    for number, one in enumerate(content.annotations):
        place = f"annotations.{number}"
        if one.iscrowd:
            continue
        if one.image_id not in known:
            faults.add(file.where, f"{place}.image_id: {one.image_id} is not among images")
        elif one.category_id not in numbers:
            faults.add(
                file.where, f"{place}.category_id: {one.category_id} is not among categories"
            )
        elif len(one.bbox) != 4:
            faults.add(file.where, f"{place}.bbox: {len(one.bbox)} numbers; it must be 4")
        else:
            objects[one.image_id].append(
                _object(file, f"{place}.bbox", one, known[one.image_id], numbers)
            )
    entries = []
    for number, image in enumerate(content.images):
        found = _find(image.file_name, images, file)
        boxes, classes = faults.sound(objects[image.id])
        if len(found) != 1:
            missing = "no such image" if not found else f"{len(found)} images are called so"
            faults.add(file.where, f"images.{number}.file_name: {image.file_name}: {missing}")
            continue
        name = "_".join(PurePosixPath(image.file_name).parts)
        size = (image.height, image.width)
        entries.append(
            AnnotatedEntry(split, name, found[0].where, found[0].load, boxes, classes, size)
        )
    return entries


def _object(
    file: File, place: str, one: _Annotation, image: _Image, numbers: dict[int, int]
) -> Found:
    x, y, wide, high = one.bbox
    box = (
        (x + wide / 2) / image.width,
        (y + high / 2) / image.height,
        wide / image.width,
        high / image.height,
    )
    slack = (1 / image.width, 1 / image.height)
    return Found(file.where, place, numbers[one.category_id], box, slack)


def _find(name: str, images: dict[str, list[File]], beside: File) -> list[File]:
    """The images whose path ends with `name`: of several, those of the JSON's split or folder."""
    parts = PurePosixPath(name).parts
    found = [file for file in images.get(parts[-1], []) if file.parts[-len(parts) :] == parts]
    stem = PurePosixPath(beside.parts[-1]).stem.removeprefix("instances_")
    own: list[Parts] = [(*beside.parts[:-1], *parts)]
    nearer = [file for file in found if file.parts in own or stem in file.parts[:-1]]
    return nearer or found


def _split(file: File) -> str:
    """The split that a JSON's name (`instances_train2017`) or its folder (`train/…`) says."""
    words = re.split(r"[^a-z]+", PurePosixPath(file.parts[-1]).stem.lower())
    words += [part.lower() for part in file.parts[:-1]]
    return next((SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS), "")
