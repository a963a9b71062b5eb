"""`metrics/bench/<device>/`: one measured cell, `<variant>.<format>.json`; `<key>.runtimes.json`.

Objects in place of lists and absent keys in place of nulls: DVC drops both without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from edgesmith import files
from edgesmith.bench.statistics import Latency
from edgesmith.errors import ContractError
from edgesmith.intervals import Bounds

_Record = TypeVar("_Record", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelLatency(_Part):
    """Milliseconds of the network alone, batch 1."""

    p50: PositiveFloat
    p90: PositiveFloat
    p99: PositiveFloat
    mean: PositiveFloat

    @classmethod
    def of(cls, latency: Latency) -> ModelLatency:
        """The figures, rounded to 0.1 µs."""
        return cls(**{key: round(value, 4) for key, value in latency._asdict().items()})


class EndToEndLatency(_Part):
    """Milliseconds from an encoded image to a label."""

    p50: PositiveFloat
    p90: PositiveFloat
    p99: PositiveFloat

    @classmethod
    def of(cls, latency: Latency) -> EndToEndLatency:
        """The figures, rounded to 0.1 µs."""
        return cls(p50=round(latency.p50, 4), p90=round(latency.p90, 4), p99=round(latency.p99, 4))


class Bench(_Part):
    """How fast an artifact runs on one device, and against which baseline in the same run.

    `rounds` are the interleaved turns of artifact and baseline; `runs` the timed inferences of the
    artifact. `steady` is false when the warm-up ended by its time limit, `noisy` is true when the
    two halves of the measurement disagree by more than 5 %.
    """

    version: Literal[1] = 1
    device: str
    fingerprint: str
    variant: str
    format: str
    precision: str
    runtime: str
    providers: str
    threads: int = Field(gt=0)
    latency_ms: ModelLatency
    latency_ms_ci95: Bounds
    end_to_end_ms: EndToEndLatency
    fps: PositiveFloat
    rss_mb: PositiveFloat
    load_ms: PositiveFloat
    first_ms: PositiveFloat
    baseline: str
    speedup_vs_baseline: PositiveFloat
    speedup_ci95: Bounds
    runs: int = Field(gt=0)
    warmup_runs: int = Field(gt=0)
    rounds: int = Field(gt=0)
    steady: bool
    noisy: bool


class RuntimeCell(_Part):
    """One network in one runtime; `speedup` is over the run's reference, from the same rounds.

    `mode` says how the runtime executes it ("eager", "TorchScript"); `rss_mb` is the peak of a
    process that loads and runs this network and nothing else.
    """

    variant: str
    precision: str
    mode: str
    runtime: str
    providers: str
    latency_ms: ModelLatency
    rss_mb: PositiveFloat
    load_ms: PositiveFloat
    speedup: PositiveFloat
    speedup_ci95: Bounds
    runs: int = Field(gt=0)
    warmup_runs: int = Field(gt=0)
    steady: bool
    noisy: bool


class RuntimesBench(_Part):
    """A chain's FP32 and INT8 network in every runtime, from one interleaved run.

    Ratios are against the cell `reference`: PyTorch eager FP32, what a training script's own
    `net(x)` takes on the same device with as many threads. `not_built` says why by cell.
    """

    version: Literal[1] = 1
    device: str
    fingerprint: str
    reference: str
    threads: int = Field(gt=0)
    rounds: int = Field(gt=0)
    cells: dict[str, RuntimeCell]
    not_built: dict[str, str] = Field(default_factory=dict)


def write(record: Bench | RuntimesBench, path: Path) -> None:
    """Write the metric file."""
    files.write_json(path, record.model_dump(mode="json"))


def read(path: Path) -> Bench:
    """Parse a cell's file; ContractError names the key that does not fit."""
    return _read(path, Bench)


def read_runtimes(path: Path) -> RuntimesBench:
    """Parse a `.runtimes.json`; ContractError names the key that does not fit."""
    return _read(path, RuntimesBench)


def _read(path: Path, kind: type[_Record]) -> _Record:
    remedy = "not a benchmark of this version of edgesmith: remove it and run `dvc repro`"
    return files.read_record(path, kind, ContractError, missing=remedy, damaged=remedy)
