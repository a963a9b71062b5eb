"""`params.yaml` as valid values: parsed once at the border, with errors that name the key.

Every section is a pydantic model; unknown keys are refused. What a key means to a user is explained
beside it in `params.yaml`; here are types, ranges and the rules between sections.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesmith.errors import ParamsError
from edgesmith.preprocess import Preprocess

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Augment(_Section):
    """Random changes of training images; all off for calibration and evaluation.

    `hue` (share of the circle), `saturation` and `mosaic` (share of images that are made of four)
    are for images with boxes.
    """

    flip: bool = False
    shift: Share = 0.0
    scale: float = Field(default=0.0, ge=0, lt=1)
    brightness: Share = 0.0
    contrast: Share = 0.0
    hue: Share = 0.0
    saturation: Share = 0.0
    mosaic: Share = 0.0


class Dataset(_Section):
    """Where images come from and how they are split.

    Counts are totals, drawn evenly over the classes by the seed; 0 means all there are, `null`
    none. A split that the source lacks is carved out of its train images, and 0 then means a fifth
    of them for test, a tenth for val. Calibration is drawn from what test and val leave of the
    train images, never equal in content to one of theirs; it may share images with train.
    `train: null` marks a dataset that is only evaluated on: calibration is drawn first, then as
    many images as val says, and test takes from the rest, all of it when 0.
    """

    source: Literal["signs", "imagefolder", "cifar10", "synsets", "scenes", "yolo", "coco", "voc"]
    path: str
    size: int = Field(default=64, ge=16, le=1024)
    train: Count | None = 0
    val: Count | None = 0
    test: Count | None = 0
    calibration: int = Field(gt=0)
    difficulty: Share = 0.5
    on_bad_labels: Literal["error", "drop"] = "error"
    augment: Augment = Augment()

    @property
    def task(self) -> Literal["classify", "detect"]:
        """What its labels are for: classes of whole images, or boxes in them."""
        return "detect" if self.source in {"scenes", "yolo", "coco", "voc"} else "classify"

    @model_validator(mode="after")
    def _keys_fit_the_task(self) -> Dataset:
        boxes = {"hue": self.augment.hue, "saturation": self.augment.saturation}
        boxes["mosaic"] = self.augment.mosaic
        if self.task == "classify":
            for key, value in boxes.items():
                if value:
                    raise ValueError(
                        f"augment.{key}: only for datasets with boxes (scenes, yolo, coco, voc); "
                        "remove the key"
                    )
        return self


class Model(_Section):
    """A network before training: architecture, start weights and its input."""

    architecture: Literal[
        "mobilenet_v2",
        "mobilenet_v3_small",
        "mobilenet_v3_large",
        "resnet18",
        "resnet50",
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
    ]
    weights: str = "none"
    width: float = Field(default=1.0, gt=0, le=2)
    stem_stride: Literal[1, 2] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dataset: str
    input: Preprocess

    @model_validator(mode="after")
    def _width_is_for_mobilenet_v2(self) -> Model:
        if self.width != 1.0 and self.architecture != "mobilenet_v2":
            raise ValueError("width: only mobilenet_v2 has a width multiplier; remove the key")
        return self


class Schedule(_Section):
    """How long and how fast to train."""

    epochs: int = Field(ge=0)
    batch: int = Field(gt=0)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_share: OpenShare = 0.1
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float = Field(default=0.0, ge=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    mixed_precision: bool = False


class _Variant(_Section):
    """What every variant says: its place in the chain, its data and its schedule."""

    parent: str
    teacher: str
    baseline: str
    dataset: str
    schedule: str


class TrainVariant(_Variant):
    """Train the parent's weights further; with a schedule of 0 epochs take them as they are."""

    step: Literal["train"]


class DistillVariant(_Variant):
    """Train with the teacher's soft targets (Hinton et al., 2015, arXiv:1503.02531).

    loss = alpha * cross entropy + (1 - alpha) * temperature^2 * KL(teacher || student).
    """

    step: Literal["distill"]
    temperature: float = Field(default=4.0, gt=0)
    alpha: Share = 0.7


class PruneVariant(_Variant):
    """Remove channels in `rounds` steps, fine-tuning after each."""

    step: Literal["prune"]
    sparsity: Literal["structured", "unstructured", "2:4"] = "structured"
    ratio: OpenShare
    rounds: int = Field(default=1, gt=0)
    importance: Literal["l1", "l2", "taylor"] = "l2"
    scope: Literal["global", "per-layer"] = "per-layer"
    round_to: int = Field(default=8, gt=0)
    max_ratio: OpenShare = 0.7
    temperature: float = Field(default=4.0, gt=0)
    alpha: Share = 1.0


class QuantizeVariant(_Variant):
    """Integer weights and activations: calibrated (ptq), learned (qat), or as needed (ladder).

    `max_drop` and `max_float_layers` are the ladder's: the share of the task metric that it may
    cost, and how many layers may stay float for that.
    """

    step: Literal["quantize"]
    method: Literal["ptq", "qat", "ladder"]
    scheme: Literal["affine", "symmetric"] = "affine"
    observer: Literal["minmax", "percentile", "mse", "entropy"] = "mse"
    percentile: float = Field(default=99.99, gt=50, le=100)
    freeze_batch_norm: Share = 0.3
    freeze_observers: Share = 0.6
    temperature: float = Field(default=1.0, gt=0)
    alpha: Share = 1.0
    max_drop: Share = 0.005
    max_float_layers: Count = 3


class CastVariant(_Variant):
    """Weights and arithmetic in half precision; nothing is trained."""

    step: Literal["cast"]
    precision: Literal["fp16"] = "fp16"


Variant = Annotated[
    TrainVariant | DistillVariant | PruneVariant | QuantizeVariant | CastVariant,
    Field(discriminator="step"),
]


class Tolerance(_Section):
    """How far an artifact may be from its parent before the export fails."""

    max_abs_diff: float = Field(gt=0)
    min_sqnr_db: float
    min_agreement: Share
    max_metric_drop: Share


class Tolerances(_Section):
    """One tolerance per precision of the artifact."""

    fp32: Tolerance
    fp16: Tolerance
    int8: Tolerance


class Export(_Section):
    """How artifacts are written."""

    opset: int = Field(ge=17, le=23)
    batch: Literal["1", "dynamic"]
    parity_images: int = Field(gt=0)


class Runtime(_Section):
    """How artifacts are run for evaluation and benchmark."""

    threads: int = Field(gt=0)
    providers: list[str] = Field(min_length=1)


class Bench(_Section):
    """How long to measure: at least this many runs and this many seconds per round."""

    rounds: int = Field(gt=0)
    min_runs: int = Field(gt=0)
    min_seconds: float = Field(gt=0)
    max_warmup_seconds: float = Field(gt=0)


class FormatCell(_Section):
    """A variant that becomes an artifact of a format, with what `dvc.yaml` needs to know of it."""

    dataset: str
    baseline: str


class Formats(_Section):
    """By format: the variants that are built in it besides ONNX, which has all."""

    tflite: dict[str, FormatCell] = Field(default_factory=dict)
    ncnn: dict[str, FormatCell] = Field(default_factory=dict)
    torchscript: dict[str, FormatCell] = Field(default_factory=dict)


class Sensitivity(_Section):
    """A quantized variant whose layers are rounded one by one, on how many images."""

    dataset: str
    images: int = Field(default=64, gt=0)


class Active(_Section):
    """The one cell that `dvc metrics diff` compares between revisions and experiments."""

    variant: str
    format: str


class RuntimePair(_Section):
    """A chain's FP32 and INT8 variant, which every runtime executes in one interleaved run.

    `aotinductor` also compiles both with the C++ compiler, about half a minute each.
    """

    fp32: str
    int8: str
    aotinductor: bool = True


class Params(_Section):
    """The whole of `params.yaml`."""

    seed: int = Field(ge=0)
    build_threads: int = Field(gt=0)
    datasets: dict[str, Dataset]
    models: dict[str, Model]
    schedules: dict[str, Schedule]
    variants: dict[str, Variant]
    tolerances: Tolerances
    export: Export
    runtime: Runtime
    bench: Bench
    formats: Formats = Field(default_factory=Formats)
    sensitivity: dict[str, Sensitivity] = Field(default_factory=dict)
    runtimes: dict[str, RuntimePair] = Field(default_factory=dict)
    active: Active

    @model_validator(mode="after")
    def _names_exist(self) -> Params:
        for name in [*self.datasets, *self.models, *self.variants, *self.runtimes]:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
                raise ValueError(
                    f"the name {name!r}: use lower-case letters, digits, '-' and '.' "
                    "(release tags refuse anything else)"
                )
        for name in self.models.keys() & self.variants.keys():
            raise ValueError(f"{name!r} is both a model and a variant; rename one")
        for name, model in self.models.items():
            _known(f"models.{name}.dataset", model.dataset, self.datasets)
        for name, variant in self.variants.items():
            where = f"variants.{name}"
            _known(f"{where}.parent", variant.parent, {**self.models, **self.variants})
            _known(f"{where}.teacher", variant.teacher, {**self.models, **self.variants})
            _known(f"{where}.baseline", variant.baseline, self.variants)
            _known(f"{where}.dataset", variant.dataset, self.datasets)
            _known(f"{where}.schedule", variant.schedule, self.schedules)
            self._ends_at_a_model(name)
        for name, pair in self.runtimes.items():
            self._fits_a_pair(f"runtimes.{name}", pair)
        for format_name, cells in self.formats:
            self._fit_their_variants(f"formats.{format_name}", cells)
        for name, entry in self.sensitivity.items():
            self._is_quantized(f"sensitivity.{name}", name, entry)
        _known("active.variant", self.active.variant, self.variants)
        return self

    def _is_quantized(self, where: str, name: str, entry: Sensitivity) -> None:
        _known(where, name, self.variants)
        variant = self.variants[name]
        if variant.step != "quantize":
            raise ValueError(
                f"{where}: the step of {name} is {variant.step}; only variants of the step "
                "quantize have layers to round"
            )
        if entry.dataset != variant.dataset:
            raise ValueError(
                f"{where}.dataset is {entry.dataset!r}, but variants.{name}.dataset is "
                f"{variant.dataset!r}; write the same"
            )

    def _fits_a_pair(self, where: str, pair: RuntimePair) -> None:
        _known(f"{where}.fp32", pair.fp32, self.variants)
        _known(f"{where}.int8", pair.int8, self.variants)
        if (step := self.variants[pair.fp32].step) in {"quantize", "cast"}:
            raise ValueError(
                f"{where}.fp32 is {pair.fp32}, whose step is {step}; name a variant in single "
                "precision, such as the chain's baseline"
            )
        if (step := self.variants[pair.int8].step) != "quantize":
            raise ValueError(
                f"{where}.int8 is {pair.int8}, whose step is {step}; name one of the step quantize"
            )
        for name in (pair.fp32, pair.int8):
            for format_name, cells in self.formats:
                if name not in cells:
                    raise ValueError(
                        f"{where}: {name} is not in formats.{format_name}, and runtimes are "
                        "compared in every format; add it there, or remove the pair"
                    )

    def _fit_their_variants(self, where: str, cells: dict[str, FormatCell]) -> None:
        for name, cell in cells.items():
            _known(f"{where}.{name}", name, self.variants)
            for key in ("dataset", "baseline"):
                own, expected = getattr(cell, key), getattr(self.variants[name], key)
                if own != expected:
                    raise ValueError(
                        f"{where}.{name}.{key} is {own!r}, but variants.{name}.{key} is "
                        f"{expected!r}; write the same"
                    )
            if cell.baseline not in cells:
                raise ValueError(
                    f"{where}.{name}: its baseline {cell.baseline} is not in {where}, and latency "
                    "is measured beside it; add it"
                )

    def _ends_at_a_model(self, name: str) -> None:
        seen = [name]
        while (parent := self.variants[seen[-1]].parent) in self.variants:
            if parent in seen:
                raise ValueError(f"variants.{name}.parent: the chain {seen} comes back to {parent}")
            seen.append(parent)


def _known(key: str, name: str, among: dict[str, Any]) -> None:
    if name not in among:
        raise ValueError(f"{key} is {name!r}, which is not defined; known: {', '.join(among)}")


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Parse and check `params.yaml`; ParamsError names the file, the key and what it must be."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(_explain(path, error)) from error


def _explain(path: Path, error: ValidationError) -> str:
    """One line per fault: `params.yaml: variants.x.ratio is 1.3; input should be less than 1`."""
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if fault["type"] == "value_error":
            lines.append(f"{path}: {key + ': ' if key else ''}{message}")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{path}: {key} is not a known key; remove it or correct its spelling")
        elif fault["type"] == "missing":
            lines.append(f"{path}: {key} is missing")
        else:
            lines.append(f"{path}: {key} is {fault['input']!r}; {message}")
    return "\n".join(lines)
