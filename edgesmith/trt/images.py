"""What an engine is tried with: the calibration images of a data set, or noise."""

from __future__ import annotations

import tarfile
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from edgesmith.data.index import read_index, verified_tar
from edgesmith.preprocess import Preprocess, UInt8Array, decode_image, fit

_SPLIT = "calibration"
_STORED, _NOISE = 128, 16


class Trial(NamedTuple):
    """(N, height, width, 3) uint8 images, fitted, and where they are from."""

    images: UInt8Array
    origin: str


def of(folder: Path, spec: Preprocess) -> Trial:
    """Calibration images of the data set in `folder`; noise where it has not been brought here.

    Raises DataError for a data set that is damaged.
    """
    if not (folder / f"{_SPLIT}.tar").is_file():
        return noise(spec)
    path = verified_tar(folder, read_index(folder), _SPLIT)
    found = []
    with tarfile.open(path, "r:") as tar:
        # A detector's images take turns with their labels.
        images = (member for member in tar if PurePosixPath(member.name).suffix != ".txt")
        for member in islice(images, _STORED):
            stream = tar.extractfile(member)
            if stream is not None:
                found.append(fit(decode_image(stream.read(), f"{path}: {member.name}"), spec))
    return Trial(np.stack(found), f"calibration images of {folder}")


def noise(spec: Preprocess) -> Trial:
    """Coarse noise, the same each time."""
    cells = np.random.default_rng(0).integers(0, 256, (_NOISE, 8, 8, 3), dtype=np.uint8)
    rows = np.arange(spec.height) * 8 // spec.height
    columns = np.arange(spec.width) * 8 // spec.width
    return Trial(np.ascontiguousarray(cells[:, rows][:, :, columns]), "noise")
