"""What is compared with what: the exporter's settings, and our variants by parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesmith.errors import ParamsError
from edgesmith.params import Params, QuantizeVariant

Format = Literal["onnx", "tflite", "ncnn"]
Precision = Literal["fp32", "int8"]

FORMATS: tuple[Format, ...] = ("onnx", "tflite", "ncnn")
# As `YOLO.export(format=…)` calls them.
EXPORT_NAMES: dict[Format, str] = {"onnx": "onnx", "tflite": "litert", "ncnn": "ncnn"}


@dataclass(frozen=True)
class Export:
    """One call of `YOLO.export`.

    `quantize` is its argument: 8 is INT8 with calibration, `w8a32` INT8 weights alone; None keeps
    32 bits. `single` asks for the one-to-one head, which needs no NMS (`nms=False`); the exporter's
    default is the other one, whose copies the host drops.
    """

    format: Format
    precision: Precision
    quantize: int | str | None
    single: bool

    @property
    def name(self) -> str:
        """As a folder."""
        parts = [self.precision if self.quantize != "w8a32" else "w8a32"]
        return "-".join([self.format, *parts, "nms-free" if self.single else "nms"])

    @property
    def setting(self) -> str:
        """As a reader of its documentation would say it."""
        quantize = "" if self.quantize is None else f", quantize={self.quantize}"
        return f"format={EXPORT_NAMES[self.format]}{quantize}{', nms=False' * self.single}"


@dataclass(frozen=True)
class Group:
    """What runs in turns: a float detector, ours made of it, and its exports, all in one format."""

    baseline: str
    dataset: str
    format: Format
    # Quantized straight from the baseline: those without training first.
    quantized: tuple[str, ...]
    exports: tuple[Export, ...]

    @property
    def name(self) -> str:
        """The baseline and the format, as in the names of metric files."""
        return f"{self.baseline}.{self.format}"


def exports(format_name: Format) -> tuple[Export, ...]:
    """Every setting of the exporter that is tried in a format.

    Also those that it refuses: its words are a result. It leaves the NMS-free head by itself where
    a format has no top-k (NCNN) or integers would lose the class numbers (LiteRT INT8).
    """
    tried = [
        Export(format_name, "fp32", None, single=False),
        Export(format_name, "int8", 8, single=False),
    ]
    if format_name != "ncnn":
        tried.insert(1, Export(format_name, "fp32", None, single=True))
    if format_name == "onnx":
        tried.append(Export(format_name, "int8", 8, single=True))
    if format_name == "tflite":
        tried.append(Export(format_name, "int8", "w8a32", single=False))
    return tuple(tried)


def baselines(params: Params) -> list[str]:
    """Detectors of params.yaml from which others are quantized; ParamsError if there is none."""
    found = {
        variant.parent: None
        for variant in params.variants.values()
        if isinstance(variant, QuantizeVariant)
        and variant.task == "detect"
        and variant.parent == variant.baseline
    }
    if not found:
        raise ParamsError(
            "params.yaml: variants: no detector is quantized straight from its baseline; add one "
            "with step: quantize and the baseline as its parent, or name a folder of models"
        )
    return list(found)


def groups(params: Params, names: list[str]) -> list[Group]:
    """A group per detector and format that it is built in.

    Raises ParamsError for a name that is no detector of params.yaml.
    """
    found = []
    for name in names:
        variant = params.variants.get(name)
        if variant is None or variant.task != "detect":
            raise ParamsError(
                f"params.yaml: variants.{name} is not a detector; name the folder of one, such as "
                "models/yolo26n-baseline"
            )
        children = sorted(
            (child.method != "ptq", key)
            for key, child in params.variants.items()
            if isinstance(child, QuantizeVariant)
            and child.parent == name
            and child.method != "ladder"  # it ends with one of the others
        )
        for format_name in FORMATS:
            listed = None if format_name == "onnx" else getattr(params.formats, format_name)
            if listed is not None and name not in listed:
                continue
            found.append(
                Group(
                    baseline=name,
                    dataset=variant.dataset,
                    format=format_name,
                    quantized=tuple(key for _, key in children if listed is None or key in listed),
                    exports=exports(format_name),
                )
            )
    return found


def variant_of(folder: Path) -> str:
    """The variant whose folder is given, as `models/<variant>`."""
    return folder.resolve().name
