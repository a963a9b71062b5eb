"""`summary.json`: where the time of an inference goes, computed from what was recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from edgesmith import files
from edgesmith.bench.statistics import latency
from edgesmith.errors import ContractError
from edgesmith.profile.families import family
from edgesmith.profile.recording import Recording, typical

FILE = "summary.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OpTime(_Part):
    """All executions of one operator type in one inference."""

    ms: NonNegativeFloat
    share: NonNegativeFloat
    launches: int = Field(gt=0)


class LayerTime(_Part):
    """One node; `share` is of the whole inference."""

    name: str
    op: str
    shape: str
    ms: NonNegativeFloat
    share: NonNegativeFloat


class Gap(_Part):
    """Time between two kernels that follow each other, by the names of the nodes."""

    after: str
    before: str
    ms: NonNegativeFloat


class Bar(_Part):
    """One kernel of the inference that the timeline shows."""

    name: str
    op: str
    start_ms: NonNegativeFloat
    ms: NonNegativeFloat


class Subject(_Part):
    """What was profiled: an artifact, or a variant in PyTorch (format `torch`)."""

    variant: str
    format: str
    precision: str

    @property
    def label(self) -> str:
        """As the benchmark's files are named."""
        return f"{self.variant}.{self.format}"


class Summary(_Part):
    """Milliseconds per inference, means over the faster half of the profiled ones.

    `run_ms` is all of it, as its caller waits; `kernel_ms` the sum of the operators; `overhead_ms`
    the rest by what it is, of which `between kernels` is what no name is known for, the profiler's
    own work among it. `plain_ms` (same mean) and `plain_p50_ms` are the same loop without the
    profiler in the same process; `profiling_ratio` is what the profiler, or the method, makes of
    the median. `framework_ms` is what kernels do not explain of the plain loop: the least that the
    framework takes, for a profiler lengthens kernels too.
    """

    version: Literal[1] = 1
    subject: Subject
    engine: str
    threads: int = Field(gt=0)
    machine: str
    method: str
    caveats: list[str]
    runs: int = Field(gt=0)
    used_runs: int = Field(gt=0)
    plain_ms: PositiveFloat
    plain_p50_ms: PositiveFloat
    profiled_p50_ms: PositiveFloat
    profiling_ratio: PositiveFloat
    run_ms: PositiveFloat
    kernel_ms: NonNegativeFloat
    overhead_ms: dict[str, NonNegativeFloat]
    overhead_share: NonNegativeFloat
    framework_ms: NonNegativeFloat
    framework_share: NonNegativeFloat
    kernels_over_plain: NonNegativeFloat
    conversion_ms: NonNegativeFloat
    conversion_share: NonNegativeFloat
    launches: int = Field(gt=0)
    mean_kernel_us: NonNegativeFloat
    ops: dict[str, OpTime]
    layers: list[LayerTime]
    gaps: list[Gap]
    timeline: list[Bar]
    words: str = ""


BETWEEN = "between kernels"
_GAPS = 5


def summarise(
    recording: Recording,
    subject: Subject,
    *,
    threads: int,
    machine: str,
    plain_ms: Sequence[float],
) -> Summary:
    """The figures; `plain_ms` are the inferences without profiler. `layers` is in running order."""
    runs = typical(recording.runs)
    count = len(runs)
    by_node: dict[int, float] = defaultdict(float)
    named: dict[str, float] = defaultdict(float)
    gaps: dict[tuple[int, int], float] = defaultdict(float)
    for run in runs:
        for kernel in run.kernels:
            by_node[kernel.node] += kernel.duration_us / 1e3 / count
        for name, value in run.overhead_us.items():
            named[name] += value / 1e3 / count
        if recording.starts_known:
            for one, other in zip(run.kernels, run.kernels[1:], strict=False):
                gap = other.start_us - one.start_us - one.duration_us
                gaps[one.node, other.node] += max(0.0, gap) / 1e3 / count
    total = sum(run.total_us for run in runs) / 1e3 / count
    kernels = sum(by_node.values())
    launches = round(sum(len(run.kernels) for run in runs) / count)
    layers = [
        LayerTime(
            name=node.name,
            op=node.op,
            shape=node.shape,
            ms=round(by_node[number], 6),
            share=round(by_node[number] / total, 5),
        )
        for number, node in enumerate(recording.nodes)
    ]
    conversion = sum(layer.ms for layer in layers if family(layer.op) == "conversion")
    named[BETWEEN] = max(0.0, total - kernels - sum(named.values()))
    plain = latency(plain_ms).p50
    faster = sorted(plain_ms)[: (len(plain_ms) + 1) // 2]
    undisturbed = sum(faster) / len(faster)
    framework = max(0.0, undisturbed - kernels)
    profiled = latency([run.total_us / 1e3 for run in recording.runs]).p50
    nodes = recording.nodes
    widest = sorted(gaps.items(), key=lambda item: -item[1])[:_GAPS]
    return Summary(
        subject=subject,
        engine=recording.engine,
        threads=threads,
        machine=machine,
        method=recording.method,
        caveats=recording.caveats,
        runs=len(recording.runs),
        used_runs=count,
        plain_ms=round(undisturbed, 6),
        plain_p50_ms=round(plain, 6),
        profiled_p50_ms=round(profiled, 6),
        profiling_ratio=round(profiled / plain, 4),
        run_ms=round(total, 6),
        kernel_ms=round(kernels, 6),
        overhead_ms={name: round(value, 6) for name, value in named.items()},
        overhead_share=round(max(0.0, total - kernels) / total, 5),
        framework_ms=round(framework, 6),
        framework_share=round(framework / undisturbed, 5),
        kernels_over_plain=round(kernels / undisturbed, 4),
        conversion_ms=round(conversion, 6),
        conversion_share=round(conversion / total, 5),
        launches=launches,
        mean_kernel_us=round(1e3 * kernels / launches, 3),
        ops=_ops(layers, total, recording, count),
        layers=layers,
        gaps=[
            Gap(after=nodes[one].name, before=nodes[other].name, ms=round(value, 6))
            for (one, other), value in widest
            if value > 0
        ],
        timeline=_timeline(recording),
    )


def read(folder: Path) -> Summary:
    """Parse a folder's `summary.json`; ContractError names what does not fit."""
    return files.read_record(
        folder / FILE,
        Summary,
        ContractError,
        missing="a folder that `edgesmith profile ARTIFACT --out FOLDER` wrote has one",
        damaged="it was written by another version of edgesmith or damaged: profile again",
    )


def top(summary: Summary, count: int) -> list[LayerTime]:
    """The layers that take longest, the longest first."""
    return sorted(summary.layers, key=lambda layer: -layer.ms)[:count]


def _ops(
    layers: Sequence[LayerTime], total: float, recording: Recording, count: int
) -> dict[str, OpTime]:
    """Time by operator type, the longest first."""
    times: dict[str, float] = defaultdict(float)
    launches: dict[str, int] = defaultdict(int)
    for layer in layers:
        times[layer.op] += layer.ms
    for run in typical(recording.runs):
        for kernel in run.kernels:
            launches[recording.nodes[kernel.node].op] += 1
    return {
        op: OpTime(
            ms=round(value, 6),
            share=round(value / total, 5),
            launches=max(1, round(launches[op] / count)),
        )
        for op, value in sorted(times.items(), key=lambda item: -item[1])
    }


def _timeline(recording: Recording) -> list[Bar]:
    """The median of the profiled inferences."""
    middle = sorted(recording.runs, key=lambda run: run.total_us)[(len(recording.runs) - 1) // 2]
    return [
        Bar(
            name=recording.nodes[kernel.node].name,
            op=recording.nodes[kernel.node].op,
            start_ms=round(kernel.start_us / 1e3, 6),
            ms=round(kernel.duration_us / 1e3, 6),
        )
        for kernel in middle.kernels
    ]
