"""A float NCNN model with its convolutions and linear layers as int8, by known ranges.

What ncnn's integer kernels compute: inputs are rounded to [-127, 127] by `bottom scale`, weights
were by one scale per output channel; sums are int32, bias and activation float. A convolution whose
output only another convolution reads writes int8 itself ("requantize"), by that one's bottom scale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from edgesmith.errors import ExportError
from edgesmith.ncnn_int8.model import (
    CONVOLUTIONS,
    INT8_TERM,
    Float32Array,
    Layer,
    Model,
)

LEVELS = 127
# No smaller step: a channel of zeros still needs a finite scale.
_EPSILON = 1e-8
_REQUANTIZE = 100
# Winograd sums its transformed integers in 32 bits, which overflow: with 256 channels of random
# signs a sum of at most 244 was off by 462. NCNN's own tool rounds such weights to [-31, 31]
# instead, which costs 4 dB (ResNet-18). Without winograd all 127 levels are exact, and such a
# convolution takes about 1.6 times as long (x86, 256 channels), still less than in FP32.
_FEATURE_MASK = 31
_WITHOUT_WINOGRAD = 1 << 6


@dataclass(frozen=True)
class Scales:
    """What one layer's integers stand for.

    `largest`: the largest magnitude that its input covers. `steps`: real value of one level of its
    weights, (outputs,) float32; None takes largest magnitude / 127 of each channel.
    """

    largest: float
    steps: Float32Array | None = None


def quantize(
    model: Model, scales: Mapping[str, Scales], float_layers: Collection[str] = ()
) -> Model:
    """`model` in integers, by the `scales` of every convolution and linear layer, by its name.

    Layers in `float_layers` stay as they are. Raises ExportError naming the layer that has no
    scales, whose input's are not finite and above 0, or whose weights' do not fit its channels.
    """
    inputs = {
        layer.name: _input_scale(layer, scales)
        for layer in model.weighted()
        if layer.name not in float_layers
    }
    readers = model.readers()
    return Model(
        tuple(
            _integers(layer, scales[layer.name].steps, inputs, readers)
            if layer.name in inputs
            else layer
            for layer in model.layers
        )
    )


def requantized_to(layer: Layer, readers: Mapping[str, list[Layer]]) -> Layer | None:
    """The convolution that alone reads what `layer`, a convolution too, gives; else None."""
    following = readers.get(layer.tops[0], [])
    if layer.kind in CONVOLUTIONS and len(following) == 1 and following[0].kind in CONVOLUTIONS:
        return following[0]
    return None


def _input_scale(layer: Layer, scales: Mapping[str, Scales]) -> float:
    """What the layer's input is multiplied with: 127 / largest magnitude."""
    if layer.name not in scales:
        raise ExportError(
            f"layer {layer.name}: no range for the tensor {layer.bottoms[0]} that it reads; "
            "calibrate the model, or give a range for every convolution and linear layer"
        )
    largest = scales[layer.name].largest
    if not np.isfinite(largest) or largest <= 0:
        raise ExportError(
            f"layer {layer.name}: the range of the tensor {layer.bottoms[0]} is {largest}; it must "
            "be finite and above 0: look at the calibration images and the weights before it"
        )
    return LEVELS / max(largest, LEVELS * _EPSILON)


def _weight_scales(layer: Layer, steps: Float32Array | None) -> Float32Array:
    """What the layer's weights are multiplied with, one number for each output channel.

    A grouped convolution of NCNN keeps one for each group.
    """
    weight, _ = layer.weights()
    used = np.abs(weight).max(axis=1) / np.float32(LEVELS) if steps is None else steps
    if used.shape != (layer.outputs,) or not (np.isfinite(used).all() and (used >= 0).all()):
        raise ExportError(
            f"layer {layer.name}: {used.size} weight scales for {layer.outputs} channels, or one "
            "that is negative or not finite; rebuild the variant that they belong to"
        )
    if layer.kind == "ConvolutionDepthWise":
        groups = layer.integer(7, 1)
        if groups < 1 or layer.outputs % groups:
            raise ExportError(
                f"layer {layer.name}: {layer.outputs} channels in {groups} groups; "
                "convert the model again"
            )
        used = used.reshape(groups, -1).max(axis=1)
    return (1 / np.maximum(used, _EPSILON, dtype=np.float64)).astype(np.float32)


def _integers(
    layer: Layer,
    steps: Float32Array | None,
    inputs: Mapping[str, float],
    readers: Mapping[str, list[Layer]],
) -> Layer:
    weight, bias = layer.weights()
    factors = _weight_scales(layer, steps)
    each = np.repeat(factors.astype(np.float64), layer.outputs // len(factors))
    integers = np.clip(np.rint(weight * each[:, None]), -LEVELS, LEVELS).astype(np.int8)
    floats = [bias, factors, np.array([inputs[layer.name]], np.float32)]
    # 1: one weight scale per group; 2: per output channel.
    term = 1 if layer.kind == "ConvolutionDepthWise" else 2
    following = requantized_to(layer, readers)
    if following is not None and following.name in inputs:
        term += _REQUANTIZE
        floats.append(np.array([inputs[following.name]], np.float32))
    params = {INT8_TERM: str(term)}
    if _may_be_winograd(layer):
        params[_FEATURE_MASK] = str(layer.integer(_FEATURE_MASK) | _WITHOUT_WINOGRAD)
    return layer.with_integers(integers, floats, params)


def _may_be_winograd(layer: Layer) -> bool:
    def both(first: int, second: int, expected: int) -> bool:
        along = layer.integer(first, 1)
        return along == expected and layer.integer(second, along) == expected

    dense = layer.kind == "Convolution"
    return dense and both(1, 11, 3) and both(2, 12, 1) and both(3, 13, 1)
