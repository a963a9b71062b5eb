"""A float NCNN model with its convolutions and linear layers as int8, by known ranges.

What ncnn's integer kernels compute: inputs are rounded to [-127, 127] by `bottom scale`, weights
were by one scale per output channel; sums are int32, bias and activation float. A convolution whose
output only another convolution reads writes int8 itself ("requantize"), by that one's bottom scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgesmith.errors import ExportError
from edgesmith.formats.ncnn_int8.model import CONVOLUTIONS, INT8_TERM, WEIGHTED, Layer, Model

LEVELS = 127
# No smaller magnitude: a channel or tensor of zeros still needs a finite scale.
_SMALLEST = 127 * 1e-8
_REQUANTIZE = 100
_FEATURE_MASK = 31
_WITHOUT_WINOGRAD = 1 << 6


def quantize(model: Model, inputs: Mapping[str, float]) -> Model:
    """`model` in integers; `inputs` holds the largest magnitude that each layer's input covers.

    By layer name, for every convolution and linear layer. Raises ExportError naming the layer whose
    input has no range, or none that is finite and above 0.
    """
    scales = {layer.name: _input_scale(layer, inputs) for layer in model.weighted()}
    readers = model.readers()
    return Model(
        tuple(
            _integers(layer, scales, readers) if layer.kind in WEIGHTED else layer
            for layer in model.layers
        )
    )


def requantized_to(layer: Layer, readers: Mapping[str, list[Layer]]) -> Layer | None:
    """The convolution that alone reads what `layer`, a convolution too, gives; else None."""
    following = readers.get(layer.tops[0], [])
    if layer.kind in CONVOLUTIONS and len(following) == 1 and following[0].kind in CONVOLUTIONS:
        return following[0]
    return None


def weight_scales(layer: Layer) -> npt.NDArray[np.float32]:
    """What weights are multiplied with: 127 / largest magnitude, per output channel or group.

    NCNN keeps one scale per group of a grouped convolution, (groups,); else it is (outputs,).
    """
    weight, _ = layer.weights()
    largest = np.abs(weight).max(axis=1).astype(np.float64)
    if layer.kind == "ConvolutionDepthWise":
        groups = layer.integer(7, 1)
        if groups < 1 or layer.outputs % groups:
            raise ExportError(f"layer {layer.name}: {groups} groups of {layer.outputs} channels")
        largest = largest.reshape(groups, -1).max(axis=1)
    return (LEVELS / np.maximum(largest, _SMALLEST)).astype(np.float32)


def _input_scale(layer: Layer, inputs: Mapping[str, float]) -> float:
    largest = inputs.get(layer.name)
    if largest is None:
        raise ExportError(
            f"layer {layer.name}: no range for the tensor {layer.bottoms[0]} that it reads; "
            "calibrate the model, or give a range for every convolution and linear layer"
        )
    if not np.isfinite(largest) or largest <= 0:
        raise ExportError(
            f"layer {layer.name}: the range of the tensor {layer.bottoms[0]} is {largest}; it must "
            "be finite and above 0: look at the calibration images and the weights before it"
        )
    return LEVELS / max(largest, _SMALLEST)


def _integers(
    layer: Layer, scales: Mapping[str, float], readers: Mapping[str, list[Layer]]
) -> Layer:
    weight, bias = layer.weights()
    per_scale = weight_scales(layer)
    each = np.repeat(per_scale.astype(np.float64), layer.outputs // len(per_scale))
    integers = np.clip(np.rint(weight * each[:, None]), -LEVELS, LEVELS).astype(np.int8)
    floats = [bias, per_scale, np.array([scales[layer.name]], np.float32)]
    # 1: one weight scale per group; 2: per output channel.
    term = 1 if layer.kind == "ConvolutionDepthWise" else 2
    following = requantized_to(layer, readers)
    if following is not None:
        term += _REQUANTIZE
        floats.append(np.array([scales[following.name]], np.float32))
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
