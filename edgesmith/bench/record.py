"""`metrics/bench/<device>/`: one measured cell, `<variant>.<format>.json`; `<key>.runtimes.json`.

Objects in place of lists and absent keys in place of nulls: DVC drops both without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from edgesmith import files
from edgesmith.bench import early_stopping
from edgesmith.bench.statistics import Latency, Samples
from edgesmith.device.sensors.conditions import Clock, Temperature
from edgesmith.errors import ContractError
from edgesmith.intervals import Bounds

_Record = TypeVar("_Record", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if value is not None}


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


class BoundedLatency(_Part):
    """Milliseconds that a percentile does not exceed by MLPerf's early stopping, network alone.

    A percentile is absent where the runs are too few for it (64 for p90, 662 for p99).
    """

    p90: PositiveFloat | None = None
    p99: PositiveFloat | None = None

    @classmethod
    def of(cls, samples: Samples) -> BoundedLatency:
        """The bounds, rounded to 0.1 µs."""
        found = {name: early_stopping.bound(samples, name) for name in early_stopping.SHARE}
        return cls(**{name: round(value, 4) for name, value in found.items() if value is not None})


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
    artifact. `stated` is the highest percentile that so many runs back, of which
    `latency_ms_bound` holds MLPerf's; one beyond it in `latency_ms` is what was seen, no more.
    `steady` is false when the warm-up ended by its time limit, `noisy` is true when another
    measurement may give a p50 more than 3 % away.

    From `governor` on: the conditions meanwhile, where the machine has the sensor (see
    `device.sensors.conditions`), `sensors` names it, `absent` says why a field is not there.
    `throttled` is whether
    the machine slowed itself down in the rounds that the figures are of. `throttled_rounds` counts
    all in which it did, `retried` those that were repeated without: the p50 before was
    `throttled_ms_p50`. `batch` images went into each call, of which there are `runs`; `fps` counts
    images.
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
    batch: int = Field(default=1, gt=0)
    stated: Literal["p50", "p90", "p99"] | None = None
    latency_ms_bound: BoundedLatency | None = None
    end_to_end_fps: PositiveFloat | None = None
    end_to_end_runs: int | None = None
    governor: str | None = None
    temperature_c: Temperature | None = None
    clock_mhz: Clock | None = None
    throttled: bool | None = None
    throttle_reasons: dict[str, float] = Field(default_factory=dict)
    throttled_rounds: int = Field(default=0, ge=0)
    retried: int = Field(default=0, ge=0)
    throttled_ms_p50: PositiveFloat | None = None
    power_w: float | None = None
    idle_power_w: float | None = None
    energy_mj_per_frame: float | None = None
    fps_per_watt: float | None = None
    sensors: dict[str, str] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)


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
