"""`params.yaml`: how artifacts are written, proven, run and measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgesmith.params.section import Section, Share, Task


class Tolerance(Section):
    """How far an artifact may be from its parent before the export fails."""

    max_abs_diff: float = Field(gt=0)
    min_sqnr_db: float
    min_agreement: Share
    max_metric_drop: Share


class TaskTolerances(Section):
    """One tolerance per precision of the artifact."""

    fp32: Tolerance
    fp16: Tolerance
    int8: Tolerance


class Tolerances(Section):
    """One set per task: logits of classes and distances of boxes have other sizes."""

    classify: TaskTolerances
    detect: TaskTolerances


class Export(Section):
    """How artifacts are written."""

    opset: int = Field(ge=17, le=23)
    batch: Literal["1", "dynamic"]
    parity_images: int = Field(gt=0)


class Runtime(Section):
    """How artifacts are run for evaluation and benchmark."""

    threads: int = Field(gt=0)
    providers: list[str] = Field(min_length=1)


class Bench(Section):
    """How long to measure: at least this many runs and this many seconds per round.

    All rounds together take as many runs as `percentile` needs, but not longer than `max_seconds`.
    Where the rounds disagree, there are more of them, up to `max_rounds`.
    """

    rounds: int = Field(gt=0)
    max_rounds: int = Field(default=0, ge=0)
    min_runs: int = Field(gt=0)
    min_seconds: float = Field(gt=0)
    max_warmup_seconds: float = Field(gt=0)
    percentile: Literal["p90", "p99"] = "p90"
    max_seconds: float = Field(default=60, gt=0)


class FormatCell(Section):
    """A variant that becomes an artifact of a format, with what `dvc.yaml` needs to know of it."""

    task: Task
    dataset: str
    baseline: str


class Formats(Section):
    """By format: the variants that are built in it besides ONNX, which has all."""

    tflite: dict[str, FormatCell] = Field(default_factory=dict)
    ncnn: dict[str, FormatCell] = Field(default_factory=dict)
    torchscript: dict[str, FormatCell] = Field(default_factory=dict)


class Sensitivity(Section):
    """A quantized variant whose layers are rounded one by one, on how many images."""

    task: Task
    dataset: str
    images: int = Field(default=64, gt=0)


class Active(Section):
    """The one cell that `dvc metrics diff` compares between revisions and experiments."""

    variant: str
    format: str


class RuntimePair(Section):
    """A chain's FP32 and INT8 variant, which every runtime executes in one interleaved run.

    `aotinductor` also compiles both with the C++ compiler, about half a minute each.
    """

    fp32: str
    int8: str
    aotinductor: bool = True
