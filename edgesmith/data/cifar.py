"""CIFAR-10 as its authors publish it: `cifar-10-batches-py`, pickled arrays.

Format: https://www.cs.toronto.edu/~kriz/cifar.html. A pickle may run any code; these files need
numpy's array constructor and nothing else, so nothing else is let through.
"""

from __future__ import annotations

import io
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.data.folders import Entry, Source
from edgesmith.data.png import encode_png
from edgesmith.data.tree import File, Tree
from edgesmith.errors import DataError

META = "batches.meta"
_BATCHES = {**{f"data_batch_{n}": "train" for n in range(1, 6)}, "test_batch": "test"}

# Old and new names of the same constructors: the files were written by Python 2 and numpy 1.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def has_batches(tree: Tree) -> bool:
    """Whether a tree is `cifar-10-batches-py`."""
    return any(file.parts[-1] == META for file in tree.files)


def batches(path: Path, tree: Tree) -> Source:
    """The 50,000 training and 10,000 test images; they are encoded as PNG when loaded.

    Raises DataError when a file is missing, damaged, or holds more than arrays.
    """
    found = {file.parts[-1]: file for file in tree.files}
    for name in (META, *_BATCHES):
        if name not in found:
            raise DataError(f"{path}: {name} is missing; unpack cifar-10-python.tar.gz again")
    labels = [bytes(name).decode() for name in _unpickle(found[META])[b"label_names"]]
    entries: list[Entry] = []
    for name, split in _BATCHES.items():
        batch = _unpickle(found[name])
        pixels, numbers = batch.get(b"data"), batch.get(b"labels", [])
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.dtype != np.uint8
            or pixels.shape != (len(numbers), 3 * 32 * 32)
        ):
            raise DataError(f"{found[name].where}: not a CIFAR-10 batch; fetch the file again")
        images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        for place, number in enumerate(numbers):
            where = f"{found[name].where}: image {place}"
            if number not in range(len(labels)):
                raise DataError(
                    f"{where}: label {number!r} is not one of the {len(labels)} in {META}; "
                    "fetch the file again"
                )
            load = partial(encode_png, images[place])
            entries.append(Entry(split, number, f"{name}-{place:05d}.png", where, load))
    return Source(labels, entries)


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def _unpickle(file: File) -> dict[bytes, Any]:
    try:
        content = _ArraysOnly(io.BytesIO(file.load()), encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError) as error:
        raise DataError(
            f"{file.where}: not the pickled arrays of CIFAR-10 ({error}); fetch the file again"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{file.where}: not a CIFAR-10 batch; fetch the file again")
    return content
