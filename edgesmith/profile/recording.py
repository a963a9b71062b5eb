"""What a profiler saw, in one form for every runtime: nodes, and when each of them ran."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator

from edgesmith import files
from edgesmith.errors import RuntimeUnavailableError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(_Part):
    """One operator that the runtime executes, which may be several of the graph's fused.

    `shape` is that of its output as text ("1×32×24×24"), empty where the runtime does not say.
    """

    name: str
    op: str
    shape: str = ""


class Kernel(_Part):
    """One execution: the node's number, and microseconds since the start of the inference."""

    node: int = Field(ge=0)
    start_us: NonNegativeFloat
    duration_us: NonNegativeFloat


class Run(_Part):
    """One inference.

    `overhead_us` names times of it that are no kernel's and that the runtime tells apart; what
    remains of `total_us` lies between kernels.
    """

    total_us: PositiveFloat
    kernels: list[Kernel]
    overhead_us: dict[str, NonNegativeFloat] = Field(default_factory=dict)


class Recording(_Part):
    """Profiled inferences of one network in one process.

    `method` says how times were obtained, `caveats` what they leave out; `nodes` are in the order
    of execution. `starts_known` is false where the runtime gives durations alone, and kernels were
    laid one after another. `native` is the runtime's own trace where a browser opens it.
    """

    engine: str
    method: str
    caveats: list[str]
    starts_known: bool
    nodes: list[Node] = Field(min_length=1)
    runs: list[Run] = Field(min_length=1)
    native: str = ""

    @model_validator(mode="after")
    def _kernels_name_nodes(self) -> Recording:
        for number, run in enumerate(self.runs):
            for kernel in run.kernels:
                if kernel.node >= len(self.nodes):
                    raise ValueError(f"runs.{number}: node {kernel.node} of {len(self.nodes)}")
        return self


def typical(runs: list[Run]) -> list[Run]:
    """The faster half of the inferences, in order: what interrupted the others is no operator's."""
    limit = sorted(run.total_us for run in runs)[(len(runs) - 1) // 2]
    return [run for run in runs if run.total_us <= limit]


def write(recording: Recording, path: Path) -> None:
    """Write it as JSON."""
    files.write_text(path, recording.model_dump_json())


def read(path: Path) -> Recording:
    """Parse what the profiled process wrote; RuntimeUnavailableError names what does not fit."""
    return files.read_record(
        path,
        Recording,
        RuntimeUnavailableError,
        missing="the profiled process wrote nothing: run it again",
        damaged="the runtime's profile is not as this version of edgesmith reads it",
    )
