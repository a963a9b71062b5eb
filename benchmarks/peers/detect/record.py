"""`benchmarks/peers/detect/results.json`: what one run of the command measured."""

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
    """mAP50-95 less the other's, with its 95 % interval over resampled images."""

    value: float
    ci95: Bounds


class Latency(_Part):
    """One image, one process: median, and its ratio to `Row.against` from rounds in turns.

    `noisy`: the medians of the two halves of the run differ by more than 5 %; `steady`: the warm-up
    ended because times stayed the same.
    """

    p50_ms: PositiveFloat
    ratio: PositiveFloat | None = None
    ratio_ci95: Bounds | None = None
    runs: int
    steady: bool
    noisy: bool


class Row(_Part):
    """One network, measured.

    `against` is what differences and ratios refer to: of an export ours of the same precision, of
    ours our float one, which itself refers to nothing. `loss` is what integers cost: the difference
    to the float network of the same maker with the same head.
    """

    name: str
    kind: Literal["ours", "peer"]
    setting: str
    precision: Literal["fp32", "fp16", "int8", "mixed"]
    head: Literal["one-to-one", "one-to-many"]
    against: str | None = None
    map50_95: float = Field(ge=0, le=1)
    map50_95_ci95: Bounds
    map50: float = Field(ge=0, le=1)
    difference: Difference | None = None
    loss: Difference | None = None
    size_bytes: int
    infer: Latency
    end_to_end: Latency
    versions: dict[str, str]


class NotMeasured(_Part):
    """A setting without figures, and why."""

    name: str
    setting: str
    why: str


class GroupResult(_Part):
    """Everything that ran in turns, our float network first."""

    baseline: str
    format: str
    engine: str
    input: str
    test_images: int
    calibration_images: int
    rows: list[Row]
    not_measured: list[NotMeasured]


class Parity(_Part):
    """Our ONNX artifact against Ultralytics' `predict` on the same weights and images.

    Detections of `score` or more; boxes in pixels of the original images. `unmatched` have no
    partner of the same class that overlaps by half, though their score is more than `margin` above
    the threshold, where either side may have cut one off.
    """

    variant: str
    epochs: int
    input: str
    images: int
    score: float
    margin: float
    ours: int
    theirs: int
    confident: int
    matched: int
    unmatched: int
    max_box_px: float
    median_box_px: float
    max_score: float


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
    groups: list[GroupResult]
    parity: Parity | None = None


def write(results: Results, path: Path = PATH) -> None:
    """Write the results; keys without a value are left out."""
    files.write_json(path, results.model_dump(mode="json", exclude_none=True))


def read(path: Path = PATH) -> Results:
    """Parse the results; ContractError names the key that does not fit."""
    remedy = "run `python -m benchmarks.peers.detect`"
    return files.read_record(path, Results, ContractError, missing=remedy, damaged=remedy)
