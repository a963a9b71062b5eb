"""A variant as TFLite: FP32, FP16 weights, or INT8 throughout, for LiteRT and the Edge TPU."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edgesmith import files
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.ranges import Range
from edgesmith.contract import Description, Input, Quantization
from edgesmith.errors import ExportError
from edgesmith.formats import tflite_attention, tflite_int8
from edgesmith.formats.describe import Card, describe, output_names, outputs
from edgesmith.formats.tflite_graph import Array, Graph
from edgesmith.formats.tflite_int8 import Interface, Rendered, Scale
from edgesmith.preprocess import UInt8Array, normalise
from edgesmith.tasks import store

FILE = "model.tflite"
INPUT = "input"
# Logits beyond their range become equal, and with them the classes: room for images that are
# unlike those of the calibration. Measured on signs, it costs 0.1-0.4 dB of 31-36.
_HEADROOM = 1.25

# Bars and stack traces of the converter would mix with a stage's own output.
litert_torch.config.show_progress = False


@dataclass(frozen=True)
class Converted:
    """A variant as a float32 .tflite file, and the parameters that it was made of."""

    variant: Path
    card: Card
    content: bytes
    state: Mapping[str, Array]


def convert(variant: Path) -> Converted:
    """The stored `variant` in float32; see `convert_network`. ModelError where it is damaged."""
    net, card = store.load_folded(variant)
    return convert_network(net, card, variant)


def convert_network(net: nn.Module, card: Card, variant: Path) -> Converted:
    """`net`, of the stored `variant`, through LiteRT's converter, for one image, in float32.

    Input `input` (1, height, width, 3) float32; output `logits` (1, classes) float32, or a
    detector's six maps (1, H, W, channels). Raises ExportError when the converter fails.
    """
    spec = card.network.input
    net = net.float().eval()
    maps = len(output_names(card)) if card.task == "detect" else 0
    content = _through_converter(net, spec.height, spec.width, maps)
    state = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    return Converted(variant, card, content, state)


def write(
    converted: Converted, folder: Path, images: UInt8Array, interface: Interface = "int8"
) -> Description:
    """Write `model.tflite` into `folder` in the precision of the variant.

    INT8 takes every range from the variant's `quantization.json`, and that of the logits, which has
    none there because other formats leave them float, from the float network's logits on `images`
    (N, H, W, 3) uint8 of the calibration split; a detector's maps stay float. `interface` is the
    dtype of an INT8 file's input and logits.
    """
    card = converted.card
    graph = _named(converted)
    _refuse_slow(graph)
    rendered: Rendered | None = None
    if card.precision in {"int8", "mixed"}:
        quantization = ranges.read(converted.variant)
        single = card.task == "classify"
        logits = logits_range(converted.content, images, card) if single else None
        rendered = tflite_int8.render(graph, converted.state, quantization, logits, interface)
        content = rendered.content
    else:
        if card.precision == "fp16":
            _halve(graph)
        content = graph.pack()
    files.write_bytes(folder / FILE, content)
    return _describe(converted, folder, rendered, interface)


def logits_range(content: bytes, images: UInt8Array, card: Card) -> Range:
    """A quarter more than a float32 .tflite file's logits span on (N, H, W, 3) uint8 images."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    low, high = 0.0, 0.0
    for image in images:
        values = normalise(image[None], card.network.input).transpose(0, 2, 3, 1)
        interpreter.set_tensor(source["index"], np.ascontiguousarray(values))
        interpreter.invoke()
        logits = interpreter.get_tensor(result["index"])
        low, high = min(low, float(logits.min())), max(high, float(logits.max()))
    if not np.isfinite([low, high]).all() or low == high:
        raise ExportError(
            f"{card.name}: its logits on {len(images)} calibration images span [{low}, {high}]; "
            "look at the parent variant's training"
        )
    return Range(low=low * _HEADROOM, high=high * _HEADROOM)


def _through_converter(net: nn.Module, height: int, width: int, maps: int) -> bytes:
    """The network with channel-last input and `maps`; the converter then needs no TRANSPOSE.

    But in attention.
    """
    last = list(range(maps)) or None
    wrapped = litert_torch.to_channel_last_io(net, args=[0], outputs=last).eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations; nothing to act on
            model = litert_torch.convert(wrapped, (torch.zeros(1, height, width, 3),))
    except Exception as error:  # MLIR's, torch's and LiteRT's errors share no base class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(
            f"tflite: LiteRT's converter cannot express this network: {reason}"
        ) from error
    return bytes(model.model_content())


def _named(converted: Converted) -> Graph:
    """The float graph with our names of its input and output, in the signature too."""
    graph = Graph(converted.content, converted.card.name)
    graph.shorten_names()
    graph.model.description = f"edgesmith {converted.card.name} {converted.card.precision}".encode()
    graph.tensor(graph.input).name = INPUT.encode()
    names = output_names(converted.card)
    for signature in graph.model.signatureDefs or []:
        signature.inputs[0].name = INPUT.encode()
        for entry in signature.outputs:
            # The converter counts them in the order of the network: output_0, output_1 …
            name = names[int(entry.name.decode().rpartition("_")[2])].encode()
            entry.name = graph.tensor(int(entry.tensorIndex)).name = name
    tflite_attention.drop_round_trips(graph)
    tflite_attention.add_channels_last(graph)
    return graph


def _halve(graph: Graph) -> None:
    """Hold weights in half precision; LiteRT reads them into single, or computes in half."""
    twins: dict[int, int] = {}
    dequantize: list[Any] = []
    for operator in graph.operators:
        for position, index in enumerate(int(index) for index in operator.inputs):
            values = graph.constant(index)
            if values is None or values.dtype != np.float32:
                continue
            if index not in twins:
                with np.errstate(over="ignore"):  # reported below, with the name of the tensor
                    half = values.astype(np.float16)
                if np.isinf(half).any() and not np.isinf(values).any():
                    raise ExportError(
                        f"{graph.name}: {graph.tensor_name(index)} holds a value beyond 65504, "
                        "the largest of half precision; leave this variant in fp32"
                    )
                name = graph.tensor_name(index)
                stored = graph.add_tensor(f"{name}_half", "float16", values.shape, half)
                twins[index] = graph.add_tensor(name, "float32", values.shape)
                added = graph.new_operator("DEQUANTIZE", 3, [stored], twins[index])
                added.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
                added.builtinOptions = schema.DequantizeOptionsT()
                dequantize.append(added)
            operator.inputs[position] = twins[index]
    graph.operators[:0] = dequantize


def _refuse_slow(graph: Graph) -> None:
    """Layout changes between operators copy every activation; only attention needs some."""
    moved = tflite_attention.layout_changes(graph)
    if moved:
        raise ExportError(
            f"{graph.name}: {len(moved)} TRANSPOSE operators in the tflite graph outside of "
            f"attention ({moved[0]}): the converter did not carry the channel-last layout "
            "through; report the model"
        )


def _describe(
    converted: Converted, folder: Path, rendered: Rendered | None, interface: Interface
) -> Description:
    card, spec = converted.card, converted.card.network.input
    results = outputs(card, layout="NHWC")
    if rendered and rendered.logits:
        read = {"dtype": interface, "quantization": _contract(rendered.logits)}
        results = [results[0].model_copy(update=read)]
    return describe(
        card,
        converted.variant,
        folder,
        format="tflite",
        source=Input(
            name=INPUT,
            layout="NHWC",
            dtype=interface if rendered and rendered.input else "float32",
            shape=[1, spec.height, spec.width, 3],
            preprocess=spec,
            quantization=_contract(rendered.input) if rendered and rendered.input else None,
        ),
        results=results,
        tools=("torch", "litert-torch", "litert-converter", "ai-edge-litert"),
    )


def _contract(scale: Scale) -> Quantization:
    return Quantization(scale=scale.scale, zero_point=scale.zero_point)
