"""The exported graph that simulates integer arithmetic: made, calibrated, given ranges, read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange, weight_scales
from edgesmith.compress.quantize.mixed import leave_float
from edgesmith.compress.quantize.quantizer import RangeQuantizer
from edgesmith.compress.quantize.ranges import Range, Scheme, choose
from edgesmith.errors import ModelError
from edgesmith.preprocess import Preprocess, UInt8Array
from edgesmith.tasks.predict import predict


def simulate(
    net: nn.Module, spec: Preprocess, scheme: Scheme, float_layers: Sequence[str] = ()
) -> GraphModule:
    """The PT2E graph of `net` with a simulated 8-bit tensor wherever an integer kernel has one.

    The graph's parameters have the names of those of `net`, in whose mode (eval or train) it is
    traced; in train mode batch normalisation stays alive and weights are rounded as folded with it
    (`prepare_qat_pt2e`). Ranges are empty until `calibrate`. Takes any batch size, in train mode
    from 2 on. `float_layers` compute in float; see `mixed.leave_float`.
    """
    example = (torch.zeros(2, 3, spec.height, spec.width, device=next(net.parameters()).device),)
    batch = torch.export.Dim("batch", min=2 if net.training else 1, max=4096)
    with warnings.catch_warnings():
        # torch 2.14 announces changes of its own inner classes here; nothing to act on.
        warnings.simplefilter("ignore", category=UserWarning)
        warnings.simplefilter("ignore", category=FutureWarning)
        exported = torch.export.export(net, example, dynamic_shapes=({0: batch},))
        graph: GraphModule = prepare_qat_pt2e(exported.module(), RangeQuantizer(scheme))
    leave_float(graph, float_layers)
    return graph


def calibrate(
    graph: GraphModule, images: UInt8Array, spec: Preprocess, observer: str, percentile: float
) -> None:
    """Find every range on (N, H, W, 3) uint8 images: one pass for extremes, one for histograms."""
    ranges = tensor_ranges(graph)
    for tensor in ranges.values():
        tensor.low.zero_()
        tensor.high.zero_()
    set_simulation(graph, False)
    for stage in ("extremes", "histogram"):
        if stage == "histogram" and observer == "minmax":
            continue
        set_stage(graph, stage)
        predict(graph, images, spec)
    set_stage(graph, "fixed")
    for tensor in ranges.values():
        chosen = choose(
            tensor.histogram.double().cpu().numpy(),
            tensor.low.item(),
            tensor.high.item(),
            observer,
            percentile,
        )
        tensor.low.fill_(chosen.low)
        tensor.high.fill_(chosen.high)
        tensor.histogram.zero_()
    set_simulation(graph, True)


def evenly(images: UInt8Array, count: int) -> UInt8Array:
    """`count` images at equal distances, whatever they are sorted by; all where there are fewer."""
    chosen = np.linspace(0, len(images) - 1, min(count, len(images))).astype(np.int64)
    return images.take(chosen, axis=0)


def give_ranges(graph: GraphModule, ranges: dict[str, Range]) -> None:
    """Put known ranges into a fresh graph; ModelError names a tensor that only one side has."""
    tensors = tensor_ranges(graph)
    differing = sorted(tensors.keys() ^ ranges.keys())
    if differing:
        raise ModelError(
            f"layer {differing[0]}: the ranges and the graph do not have the same tensors; "
            "rebuild the variant: `dvc repro`"
        )
    for key, tensor in tensors.items():
        tensor.low.fill_(ranges[key].low)
        tensor.high.fill_(ranges[key].high)


def read_ranges(graph: GraphModule) -> dict[str, Range]:
    """Every activation range of a calibrated or trained graph, by key in the graph's order."""
    result = {}
    for key, tensor in tensor_ranges(graph).items():
        low, high = tensor.low.item(), tensor.high.item()
        if not np.isfinite([low, high]).all() or low == high == 0:
            raise ModelError(
                f"layer {key}: its values on the calibration images are all zero or not finite; "
                "look at the parent variant's training"
            )
        result[key] = Range(low=low, high=high)
    return result


def read_weight_scales(graph: GraphModule) -> dict[str, list[float]]:
    """Scales of every weight, one per output channel, by layer."""
    result = {}
    for node in graph.graph.nodes:
        if node.op != "call_module":
            continue
        module = graph.get_submodule(str(node.target))
        if isinstance(module, PerChannelWeight):
            weight = graph.get_parameter(str(node.args[0].target))
            result[module.key] = weight_scales(weight, module.quant_max).tolist()
    return result


def tensor_ranges(graph: GraphModule) -> dict[str, TensorRange]:
    """The simulated activations of a graph by key (shared ones once), in the graph's order."""
    found: dict[str, TensorRange] = {}
    for node in graph.graph.nodes:
        if node.op == "call_module":
            module = graph.get_submodule(str(node.target))
            if isinstance(module, TensorRange):
                found.setdefault(module.key, module)
    return found


def set_stage(graph: GraphModule, stage: str) -> None:
    """Say what a forward pass does to the ranges; see `TensorRange`."""
    for tensor in tensor_ranges(graph).values():
        tensor.stage = stage


def set_simulation(graph: GraphModule, on: bool) -> None:
    """Round to 8 bits, or pass activations and weights through as they are."""
    change: Callable[[TensorRange | PerChannelWeight], None] = (
        (lambda m: m.enable_fake_quant()) if on else (lambda m: m.disable_fake_quant())
    )
    for module in graph.modules():
        if isinstance(module, TensorRange | PerChannelWeight):
            change(module)
