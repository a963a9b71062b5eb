"""What is compared with what: the tools with their settings, and our variants by parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from edgesmith.errors import ParamsError
from edgesmith.params import Params, QuantizeVariant

Format = Literal["onnx", "tflite"]

# x86 kernels without these instructions add two products in 16 bits, which saturates for 8-bit
# weights; then, and only then, ONNX Runtime's documentation asks for 7-bit ones.
_SUMS_IN_32_BITS = {"avx512_vnni", "avx_vnni"}


@dataclass(frozen=True)
class Tool:
    """Another quantizer: the module of `tools` that calls it, and what it has to be installed with.

    `environment` names a file in `requirements`; None is the project's own environment, whose lock
    pins the tool. `practice` is what its documentation, named by `documentation`, recommends.
    """

    name: str
    module: str
    format: Format
    distribution: str
    environment: str | None
    practice: str
    documentation: str


@dataclass(frozen=True)
class Peer:
    """One setting of a tool; `default` is the one that its documentation would have us take."""

    tool: Tool
    name: str
    setting: str
    options: dict[str, Any] = field(hash=False)
    default: bool = False


@dataclass(frozen=True)
class Group:
    """What runs in turns: a float variant, ours made of it, and peers of it, all in one format.

    The first of `ours` is what ratios and differences of the others refer to.
    """

    baseline: str
    dataset: str
    format: Format
    ours: tuple[str, ...]
    # Those of ours that were calibrated, like the peers, and not trained.
    calibrated: frozenset[str]
    peers: tuple[Peer, ...]

    @property
    def name(self) -> str:
        """The baseline and the format, as in the names of metric files."""
        return f"{self.baseline}.{self.format}"


ONNX_RUNTIME = Tool(
    name="onnxruntime.quantization",
    module="onnxruntime_static",
    format="onnx",
    distribution="onnxruntime",
    environment=None,
    practice="`quant_pre_process`, then `quantize_static`: QDQ, weights QInt8 per channel, "
    "activations QUInt8 on x86 (QInt8 is its advice for ARM), `reduce_range` only on x86 without "
    "VNNI",
    documentation="ONNX Runtime documentation, “Quantize ONNX Models”, and the docstring of "
    "`quantize_static`",
)
NNCF = Tool(
    name="NNCF",
    module="nncf_ptq",
    format="onnx",
    distribution="nncf",
    environment="nncf",
    practice="`nncf.quantize` on the ONNX file: preset `mixed`, `target_device` CPU, all "
    "calibration images; bias correction fast (its default) or accurate",
    documentation="OpenVINO documentation, “Basic Quantization Flow”",
)
AI_EDGE = Tool(
    name="AI Edge Quantizer",
    module="ai_edge",
    format="tflite",
    distribution="ai-edge-quantizer",
    environment=None,
    practice="recipe `static_wi8_ai8` on the float file, calibrated through its signature; its "
    "default algorithm, and the two others that it offers for this recipe",
    documentation="README of google-ai-edge/ai-edge-quantizer, now LiteRT Quantizer",
)
TOOLS = (ONNX_RUNTIME, NNCF, AI_EDGE)


def peers(format_name: Format, arch: str, isa: str) -> tuple[Peer, ...]:
    """Every setting to try in a format on a CPU of this architecture with these instructions."""
    if format_name == "onnx":
        return (*_onnx_runtime(arch, isa), *_nncf())
    return tuple(_ai_edge())


def groups(params: Params, arch: str, isa: str) -> list[Group]:
    """A group per format for each classifier that has variants quantized straight from it.

    Variants calibrated without training come first, for that is what the peers do.
    """
    made: dict[str, list[tuple[bool, str]]] = {}
    for name, variant in params.variants.items():
        if variant.task != "classify":
            continue  # benchmarks/peers/detect compares detectors
        if not isinstance(variant, QuantizeVariant) or variant.method == "ladder":
            continue  # a ladder ends with one of the other methods, which have rows of their own
        if variant.parent == variant.baseline:
            made.setdefault(variant.baseline, []).append((variant.method != "ptq", name))
    found = []
    for baseline, ours in made.items():
        names = tuple(name for _, name in sorted(ours))
        in_tflite = tuple(name for name in names if name in params.formats.tflite)
        formats: list[tuple[Format, tuple[str, ...]]] = [("onnx", names)]
        if in_tflite and baseline in params.formats.tflite:
            formats.append(("tflite", in_tflite))
        found += [
            Group(
                baseline=baseline,
                dataset=params.variants[baseline].dataset,
                format=format_name,
                ours=members,
                calibrated=frozenset(name for trained, name in ours if not trained),
                peers=peers(format_name, arch, isa),
            )
            for format_name, members in formats
        ]
    if not found:
        raise ParamsError(
            "params.yaml: variants: none is quantized straight from its baseline; add one with "
            "step: quantize and the baseline as its parent"
        )
    return found


def _onnx_runtime(arch: str, isa: str) -> Iterator[Peer]:
    x86 = arch in {"x86_64", "AMD64"}
    base = {
        "per_channel": True,
        "reduce_range": x86 and not _SUMS_IN_32_BITS & set(isa.split()),
        "format": "QDQ",
    }
    tried = [(activations, "MinMax") for activations in ("QUInt8", "QInt8")]
    # The other type would have the same levels, 128 lower: ranges are worth trying in one alone.
    advised = "QUInt8" if x86 else "QInt8"
    for activations, calibrate in (*tried, (advised, "Entropy"), (advised, "Percentile")):
        yield Peer(
            ONNX_RUNTIME,
            f"ort-{activations.lower()}-{calibrate.lower()}",
            f"{'U8S8' if activations == 'QUInt8' else 'S8S8'} {calibrate}",
            {**base, "activations": activations, "calibrate": calibrate},
            default=calibrate == "MinMax" and activations == advised,
        )
    # Not for accuracy: whether the form of the graph is worth time.
    fast = {**base, "activations": advised, "calibrate": "MinMax"}
    yield Peer(
        ONNX_RUNTIME,
        "ort-per-tensor",
        "default, per tensor",
        {**fast, "per_channel": False},
    )
    yield Peer(ONNX_RUNTIME, "ort-qoperator", "default, QOperator", {**fast, "format": "QOperator"})


def _nncf() -> Iterator[Peer]:
    for name, setting, fast, per_channel in (
        ("nncf-fast", "fast bias correction", True, None),
        ("nncf-accurate", "accurate bias correction", False, None),
        # Not for accuracy: its scales per channel have no kernel in ONNX Runtime.
        ("nncf-per-tensor", "fast, activations per tensor", True, False),
    ):
        options = {"fast_bias_correction": fast, "per_channel_activations": per_channel}
        yield Peer(NNCF, name, setting, options, default=name == "nncf-fast")


def _ai_edge() -> Iterator[Peer]:
    for algorithm, setting in (
        ("MIN_MAX_UNIFORM_QUANT", "min-max"),
        ("OCTAV", "OCTAV"),
        ("MSE", "MSE"),
    ):
        yield Peer(
            AI_EDGE,
            f"ai-edge-{setting.lower()}",
            setting,
            {"algorithm": algorithm},
            default=setting == "min-max",
        )
