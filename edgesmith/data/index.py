"""`dataset.json`: what a stored dataset holds, whatever its images are annotated with."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.errors import DataError
from edgesmith.params import Task

FILE = "dataset.json"
SPLITS = ("train", "val", "test", "calibration")
REMEDY = "make it again with `dvc repro`, or fetch it with `dvc pull`"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitIndex(_Part):
    """How many images a split's tar holds, and the tar's hash."""

    images: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class DatasetIndex(_Part):
    """`dataset.json`: labels in the order of the network's outputs, and what each split holds.

    `task` is what the labels are for: a class per image, or boxes.
    """

    version: Literal[1] = 1
    task: Task = "classify"
    source: str
    labels: list[str]
    splits: dict[str, SplitIndex]

    @property
    def counts(self) -> dict[str, int]:
        """Images per split."""
        return {name: split.images for name, split in self.splits.items()}


def read_index(folder: Path) -> DatasetIndex:
    """Parse `dataset.json` of a stored dataset; DataError when missing or not valid."""
    return files.read_record(folder / FILE, DatasetIndex, DataError, missing=REMEDY, damaged=REMEDY)


def verified_tar(folder: Path, index: DatasetIndex, split: str) -> Path:
    """The tar of a split; DataError when there is none or its content is not what was indexed."""
    path = folder / f"{split}.tar"
    if split not in index.splits:
        raise DataError(f"{folder}: has no split {split!r}; it has {', '.join(index.splits)}")
    try:
        found = files.sha256(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error
    if found != index.splits[split].sha256:
        raise DataError(f"{path}: damaged: its hash is not the one in {FILE}; {REMEDY}")
    return path


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Append a file without time or owner."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
