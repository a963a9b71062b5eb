"""A stored dataset of images with a class each: a tar of encoded images per split, and its index.

`data/<name>/` holds `train.tar`, `val.tar`, `test.tar` and `calibration.tar`, uncompressed, with
members `class/name.png`. Equal images give equal bytes: no times, no owners, a fixed order.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

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
from edgesmith.preprocess import Preprocess, UInt8Array, decode_image, fit


@dataclass(frozen=True)
class Sample:
    """One image to store: its label, its file name within the class, its encoded bytes."""

    label: int
    name: str
    content: bytes


@dataclass(frozen=True)
class Split:
    """A split in memory.

    `images` (N, H, W, 3) uint8 in the colour order of the `Preprocess` it was loaded with, `labels`
    (N,) int64, `names` the N member names `class/name.png`.
    """

    images: UInt8Array
    labels: npt.NDArray[np.int64]
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


def write_dataset(
    folder: Path, labels: list[str], splits: Mapping[str, Iterable[Sample]], source: str
) -> DatasetIndex:
    """Write the dataset in place of `folder` and return its index.

    Within a split classes take turns (the first image of each class, then the second …), so that
    any first part of a split is as stratified as the whole. Raises DataError when two images of a
    class share a name.
    """
    with files.output_folder(folder) as temporary:
        described = {}
        for split in SPLITS:
            path = temporary / f"{split}.tar"
            ordered = _take_turns(list(splits.get(split, ())))
            _write_tar(path, labels, ordered, split)
            described[split] = SplitIndex(images=len(ordered), sha256=files.sha256(path))
        index = DatasetIndex(source=source, labels=labels, splits=described)
        # No task stands for classification: a dataset stored before there was another keeps its
        # hash, and nothing that was trained on it is made anew.
        files.write_json(temporary / FILE, index.model_dump(mode="json", exclude={"task"}))
    return index


def load_split(folder: Path, split: str, spec: Preprocess, first: int | None = None) -> Split:
    """Decode and fit all images of a split, in stored order; an empty split gives N = 0.

    `first`: only so many of them.

    Raises DataError when the dataset is missing, or does not match its index.
    """
    index = read_index(folder)
    if index.task != "classify":
        raise DataError(f"{folder}: holds boxes, not classes; use it for a detector")
    path = verified_tar(folder, index, split)
    known = {label: number for number, label in enumerate(index.labels)}
    count = min(index.splits[split].images, first or sys.maxsize)
    images = np.empty((count, spec.height, spec.width, 3), np.uint8)
    labels = np.empty(count, np.int64)
    names = []
    with tarfile.open(path, mode="r:") as tar:
        for place, member in enumerate(islice(tar, count)):
            where = f"{path}: {member.name}"
            label = member.name.split("/")[0]
            stream = tar.extractfile(member)
            if label not in known or stream is None:
                raise DataError(f"{where}: {label!r} is not a label of {FILE}; {REMEDY}")
            images[place] = fit(decode_image(stream.read(), where), spec)
            labels[place] = known[label]
            names.append(member.name)
    return Split(images, labels, names)


def _take_turns(samples: list[Sample]) -> list[Sample]:
    """Samples sorted by their rank within their class, then by class."""
    seen: dict[int, int] = {}
    ranked = []
    for sample in sorted(samples, key=lambda sample: (sample.label, sample.name)):
        rank = seen.get(sample.label, 0)
        seen[sample.label] = rank + 1
        ranked.append((rank, sample))
    return [sample for _, sample in sorted(ranked, key=lambda pair: (pair[0], pair[1].label))]


def _write_tar(path: Path, labels: list[str], samples: list[Sample], split: str) -> None:
    written: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for sample in samples:
            name = f"{labels[sample.label]}/{sample.name}"
            if name in written:
                raise DataError(f"{split}: two images are named {name}; rename one of them")
            written.add(name)
            add_member(tar, name, sample.content)
