"""`soak.jsonl`: what is kept of a long run, line by line as it runs.

The first line says what runs where, each further one what an interval gave. A line is on the disk
before the next interval begins; a run that is killed keeps all of them but the one being written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesmith.errors import DataError

NAME = "soak.jsonl"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Head(_Part):
    """What runs, on what, and which sensors watch it; `started` is in seconds since 1970."""

    version: Literal[1] = 1
    started: float
    variant: str
    format: str
    precision: str
    runtime: str
    providers: str
    threads: int = Field(gt=0)
    interval_s: float = Field(gt=0)
    machine: str
    fingerprint: str
    governor: str | None = None
    sensors: dict[str, str] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)


class Row(_Part):
    """One interval; `elapsed_s` is its end, from the end of loading on.

    `temperature_c` and `clock_mhz` are means, `power_w` is the mean of the whole interval; None
    where no sensor spoke. `rss_mb` is the worker's resident memory in 10^6 bytes.
    """

    elapsed_s: float
    seconds: float = Field(gt=0)
    inferences: int = Field(gt=0)
    fps: float
    p50_ms: float
    p99_ms: float
    temperature_c: float | None = None
    clock_mhz: float | None = None
    throttled: bool | None = None
    throttle_reasons: tuple[str, ...] = ()
    power_w: float | None = None
    rss_mb: float


class Recording(NamedTuple):
    """The content of a `soak.jsonl`."""

    head: Head
    rows: list[Row]


class Writer:
    """Appends lines to a new `soak.jsonl` in `folder`, each on the disk at once."""

    def __init__(self, folder: Path, head: Head) -> None:
        """DataError where the folder holds anything already."""
        refuse_used(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._stream = (folder / NAME).open("x")
        self._write(head)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def add(self, row: Row) -> None:
        """Write one row."""
        self._write(row)

    def _write(self, part: BaseModel) -> None:
        self._stream.write(json.dumps(part.model_dump(mode="json", exclude_none=True)) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def refuse_used(folder: Path) -> None:
    """DataError where `folder` holds anything: a run that goes on after a pause begins cool again.

    So nothing is ever appended to an earlier run.
    """
    if (folder / NAME).exists():
        raise DataError(
            f"{folder}: holds a soak run already, and one that went on after a pause would have "
            f"cooled; name another --out (`edgesmith soak --plot {folder}` draws what is there)"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: exists and is not an empty folder; name another --out")


def read(folder: Path) -> Recording:
    """The rows of a run, ended or killed; a last line that was cut off is left out.

    DataError names the line that does not fit.
    """
    path = folder / NAME
    try:
        text = path.read_text()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a soak run"
        ) from error
    # What follows the last line feed was being written when the run was killed.
    lines = text.split("\n")[:-1]
    kinds = (Head, *([Row] * (len(lines) - 1)))
    parts: list[BaseModel] = []
    for number, (line, kind) in enumerate(zip(lines, kinds, strict=False), 1):
        try:
            parts.append(kind.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the line"
            raise DataError(
                f"{path}:{number}: {key}: {first['msg']}; not a soak run of this version"
            ) from error
    head, rows = parts[:1], [part for part in parts if isinstance(part, Row)]
    if not head or not isinstance(head[0], Head):
        raise DataError(f"{path}: empty: the run was killed before it began")
    return Recording(head[0], rows)
