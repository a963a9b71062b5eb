"""`benchmarks/peers/results.json`: what one run of the command measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from edgesmith import files
from edgesmith.errors import ContractError
from edgesmith.intervals import Bounds

PATH = Path(__file__).parent / "results.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Difference(_Part):
    """Share of images right minus the other's, paired over images, with its 95 % interval."""

    value: float
    ci95: Bounds


class Latency(_Part):
    """One image, one process: median, and its ratio to ours from rounds in turns.

    `noisy`: the medians of the two halves of the run differ by more than 5 %; `steady`: the warm-up
    ended because times stayed the same.
    """

    p50_ms: PositiveFloat
    vs_ours: PositiveFloat
    vs_ours_ci95: Bounds
    runs: int
    warmup_runs: int
    steady: bool
    noisy: bool


class Row(_Part):
    """One network, measured. `vs_fp32` and `vs_ours` are absent where they would be with itself.

    `seconds` is how long quantizing took, as a process; absent where that was not measured.
    """

    name: str
    kind: Literal["fp32", "ours", "peer"]
    tool: str
    setting: str
    default: bool = False
    top1: float = Field(ge=0, le=1)
    top1_ci95: Bounds
    vs_fp32: Difference | None = None
    vs_ours: Difference | None = None
    sqnr_db: float | None = None
    agreement_vs_fp32: float | None = None
    size_bytes: int
    seconds: PositiveFloat | None = None
    versions: dict[str, str]
    operators: dict[str, int]
    latency: Latency | None = None


class NotMeasured(_Part):
    """A peer without figures: why, and how to get them."""

    name: str
    tool: str
    setting: str
    why: str


class GroupResult(_Part):
    """Everything that ran in turns, ours first."""

    baseline: str
    format: str
    ours: str
    engine: str
    rows: list[Row]
    not_measured: list[NotMeasured]


class Results(_Part):
    """The whole file. Times are comparable within one group, for those took turns."""

    version: Literal[1] = 1
    fingerprint: dict[str, str]
    fingerprint_id: str
    threads: int
    rounds: int
    min_runs: int
    min_seconds: float
    max_warmup_seconds: float
    test_images: int
    calibration_images: int
    groups: list[GroupResult]


def write(results: Results, path: Path = PATH) -> None:
    """Write the results; keys without a value are left out."""
    files.write_json(path, results.model_dump(mode="json", exclude_none=True))


def read(path: Path = PATH) -> Results:
    """Parse the results; ContractError names the key that does not fit."""
    remedy = "run `python -m benchmarks.peers`"
    return files.read_record(path, Results, ContractError, missing=remedy, damaged=remedy)
