"""The stored form of images with boxes: one tar per split in YOLO's layout, and `dataset.json`.

`data/<name>/<split>.tar`, uncompressed, holds members in pairs: `images/<stem>.<suffix>`, then
`labels/<stem>.txt` with a line `class cx cy w h` per object, in shares of the original image's
width and height. Equal images and boxes give equal bytes.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from edgesmith import files
from edgesmith.data.index import (
    FILE,
    REMEDY,
    SPLITS,
    DatasetIndex,
    SplitIndex,
    add_member,
    read_index,
    verified_tar,
)
from edgesmith.errors import DataError
from edgesmith.preprocess import (
    Float32Array,
    Preprocess,
    UInt8Array,
    decode_image,
    fit,
    letterbox_geometry,
)


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """One image to store: file name, encoded bytes, objects.

    `boxes` (n, 4) float64 centre x, centre y, width, height in shares of the image, `classes` (n,)
    int64.
    """

    name: str
    content: bytes
    boxes: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scenes:
    """A split in memory.

    `images` (N, H, W, 3) uint8 in the colour order of the `Preprocess` it was loaded with. Per
    image `boxes` (n, 4) float32 x1 y1 x2 y2 in pixels of the fitted image and `classes` (n,) int64;
    `sizes` (N, 2) int64 original height and width; `names` the members `images/<stem>.<suffix>`.
    """

    images: UInt8Array
    boxes: list[Float32Array]
    classes: list[npt.NDArray[np.int64]]
    sizes: npt.NDArray[np.int64]
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


def write_scenes(
    folder: Path, labels: list[str], splits: Mapping[str, Iterable[AnnotatedImage]], source: str
) -> DatasetIndex:
    """Write the dataset in place of `folder`, images in the given order, and return its index.

    Of each split one image at a time is in memory. Raises DataError when two images of a split
    share the stem of their name.
    """
    with files.output_folder(folder) as temporary:
        described = {}
        for split in SPLITS:
            path = temporary / f"{split}.tar"
            count = _write_tar(path, splits.get(split, ()), split)
            described[split] = SplitIndex(images=count, sha256=files.sha256(path))
        index = DatasetIndex(task="detect", source=source, labels=labels, splits=described)
        files.write_json(temporary / FILE, index.model_dump(mode="json"))
    return index


def load_scenes(folder: Path, split: str, spec: Preprocess, first: int | None = None) -> Scenes:
    """Decode and letterbox all images of a split, in stored order; an empty split gives N = 0.

    `first`: only so many of them.

    Raises DataError when the dataset is missing, holds no boxes, does not match its index, or
    `spec` does anything but letterbox.
    """
    if spec.resize != "letterbox":
        raise DataError(
            f"{folder}: its boxes need an input with `resize: letterbox`, not {spec.resize}; "
            "correct the model's input in params.yaml"
        )
    index = read_index(folder)
    if index.task != "detect":
        raise DataError(f"{folder}: holds classes, not boxes; use it for a classifier")
    path = verified_tar(folder, index, split)
    count = min(index.splits[split].images, first or sys.maxsize)
    images = np.empty((count, spec.height, spec.width, 3), np.uint8)
    sizes = np.empty((count, 2), np.int64)
    boxes, classes, names = [], [], []
    for place, (name, content, text) in enumerate(islice(_pairs(path), count)):
        image = decode_image(content, f"{path}: {name}")
        height, width = image.shape[:2]
        numbers, centred = _parse(text, len(index.labels), f"{path}: labels of {name}")
        geometry = letterbox_geometry(height, width, spec)
        half = centred[:, 2:] / 2
        corners = np.hstack([centred[:, :2] - half, centred[:, :2] + half])
        original = corners * np.array([width, height, width, height])
        images[place] = fit(image, spec)
        sizes[place] = height, width
        boxes.append(geometry.apply(original.astype(np.float32)))
        classes.append(numbers)
        names.append(name)
    return Scenes(images, boxes, classes, sizes, names)


def _write_tar(path: Path, images: Iterable[AnnotatedImage], split: str) -> int:
    """Write the pairs; how many there are."""
    written: dict[str, str] = {}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for image in images:
            stem = PurePosixPath(image.name).stem
            if stem in written:
                raise DataError(
                    f"{split}: {written[stem]} and {image.name} would share labels/{stem}.txt; "
                    "rename one of them"
                )
            written[stem] = image.name
            add_member(tar, f"images/{image.name}", image.content)
            # repr gives back exactly the same float.
            lines = [
                f"{label} {' '.join(repr(value) for value in box)}\n"
                for label, box in zip(image.classes.tolist(), image.boxes.tolist(), strict=True)
            ]
            add_member(tar, f"labels/{stem}.txt", "".join(lines).encode())
    return len(written)


def _pairs(path: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Name and content of each image with the content of its labels."""
    with tarfile.open(path, "r:") as tar:
        members = iter(tar)
        for member in members:
            labels = next(members, None)
            stem = PurePosixPath(member.name).stem
            if labels is None or labels.name != f"labels/{stem}.txt":
                raise DataError(f"{path}: {member.name}: no labels follow it; {REMEDY}")
            image, text = tar.extractfile(member), tar.extractfile(labels)
            if image is None or text is None:
                raise DataError(f"{path}: {member.name}: not a file; {REMEDY}")
            yield member.name, image.read(), text.read()


def _parse(
    text: bytes, labels: int, where: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Classes (n,) and boxes (n, 4) of a label file of ours."""
    rows = [line.split() for line in text.decode().splitlines()]
    numbers = np.array([int(row[0]) for row in rows], np.int64)
    boxes = np.array([[float(value) for value in row[1:]] for row in rows], np.float64)
    if (numbers < 0).any() or (numbers >= labels).any() or boxes.size != 4 * len(numbers):
        raise DataError(f"{where}: not the classes and boxes of {FILE}; {REMEDY}")
    return numbers, boxes.reshape(-1, 4)
