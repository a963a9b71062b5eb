"""Between images and a network's own tensors, as its contract describes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesmith.contract import Description, Input, Output, Quantization
from edgesmith.errors import ContractError
from edgesmith.preprocess import Float32Array, UInt8Array, normalise

Array = npt.NDArray[Any]

# Enough to keep the cores busy, few enough that the activations of a 224 px network (about 100 MB
# for MobileNetV2 at 64 images) fit the memory of a small board.
_FREE_BATCH = 64


def network_input(images: UInt8Array, spec: Input) -> Float32Array:
    """(N, H, W, 3) uint8, fitted, to what `Session.run` takes: (N, 3, H, W) float32.

    Normalised by mean and std, or left at 0–255 where the network normalises inside.
    """
    if spec.normalised_inside:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    return normalise(images, spec.preprocess)


def run(
    images: Float32Array, contract: Description, call: Callable[[Array], list[Array]]
) -> Float32Array:
    """What `Session.run` gives for (N, 3, H, W) float32 of any N.

    `call` takes a batch as the network does and gives its outputs in the contract's order. Raises
    ContractError for images or outputs of another shape than the contract says.
    """
    spec = contract.input
    check_shape(images, spec)
    values = in_batches(encode(images, spec), spec.shape[0], call)
    return unpack(values, contract.outputs)


def encode(images: Float32Array, spec: Input) -> Array:
    """(N, 3, H, W) float32 in the network's own layout, dtype and quantization.

    No copy where nothing has to change.
    """
    if spec.layout == "NHWC":
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    if spec.quantization is not None:
        return _quantize(images, spec.quantization, spec.dtype)
    if spec.dtype in {"uint8", "int8"}:
        limits = np.iinfo(spec.dtype)
        return np.clip(np.rint(images), limits.min, limits.max).astype(spec.dtype)
    return images.astype(spec.dtype, copy=False)


def decode(values: Array, spec: Output) -> Float32Array:
    """A network's output tensor as float32 real values."""
    result = np.asarray(values, np.float32)
    if spec.quantization is None:
        return result
    result = (result - np.float32(spec.quantization.zero_point)) * np.float32(
        spec.quantization.scale
    )
    return result


def unpack(values: Sequence[Array], outputs: Sequence[Output]) -> Float32Array:
    """A network's output tensors as one float32 array of real values.

    Logits (N, classes) of a classifier; of a detector (N, cells, 4 + classes): the cells of each
    level row by row, the finest level first, distances and then logits.
    """
    for value, spec in zip(values, outputs, strict=True):
        if list(value.shape[1:]) != spec.shape[1:]:
            raise ContractError(
                f"output {spec.name!r} is {list(value.shape[1:])} per image, the contract says "
                f"{spec.shape[1:]}; export the artifact again"
            )
    if len(outputs) == 1 and outputs[0].layout == "NC":
        return decode(values[0], outputs[0])
    return _pack(values, outputs)


def in_batches(images: Array, batch: int, call: Callable[[Array], list[Array]]) -> list[Array]:
    """`call` over the first axis in pieces of `batch` rows (-1: any number); outputs joined.

    The last piece of a fixed batch is filled up with copies of its last row, which are cut off.
    """
    if len(images) == 0:
        raise ValueError("no images to run")
    if batch == len(images):
        return call(images)
    step = min(_FREE_BATCH, len(images)) if batch < 1 else batch
    outputs = []
    for start in range(0, len(images), step):
        piece = images[start : start + step]
        missing = step - len(piece) if batch >= 1 else 0
        if missing:
            piece = np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)])
        outputs.append([output[: step - missing] for output in call(piece)])
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def check_shape(images: Float32Array, spec: Input) -> None:
    """Refuse a batch that is not (N, 3, height, width); ContractError says what was expected."""
    expected = (3, spec.preprocess.height, spec.preprocess.width)
    if images.ndim != 4 or images.shape[1:] != expected:
        raise ContractError(
            f"the network takes (N, {', '.join(map(str, expected))}) and was given "
            f"{images.shape}; prepare images with the contract's own preprocessing"
        )


def _pack(values: Sequence[Array], outputs: Sequence[Output]) -> Float32Array:
    """Maps of boxes and scores, level by level, beside each other in one row per cell."""
    maps = {
        (spec.stride, spec.meaning): (value, spec)
        for value, spec in zip(values, outputs, strict=True)
    }
    strides = sorted({spec.stride for spec in outputs if spec.stride is not None})
    wanted = [(stride, meaning) for stride in strides for meaning in ("boxes", "scores")]
    if not strides or set(maps) != set(wanted) or len(outputs) != len(wanted):
        raise ContractError(
            "the contract's outputs are "
            f"{', '.join(f'{spec.meaning} at stride {spec.stride}' for spec in outputs)}; "
            "a detector gives boxes and scores once for each stride: export the artifact again"
        )
    levels = [[_cells(*maps[stride, kind]) for kind in ("boxes", "scores")] for stride in strides]
    count = sum(boxes.shape[1] for boxes, _ in levels)
    packed = np.empty((len(values[0]), count, 4 + levels[0][1].shape[2]), np.float32)
    start = 0
    for (boxes, scores), stride in zip(levels, strides, strict=True):
        end = start + boxes.shape[1]
        packed[:, start:end, :4] = decode(boxes, maps[stride, "boxes"][1])
        packed[:, start:end, 4:] = decode(scores, maps[stride, "scores"][1])
        start = end
    return packed


def _cells(value: Array, spec: Output) -> Array:
    """A map as (N, cells, channels), without a copy."""
    if spec.layout == "NCHW":
        return value.reshape(*value.shape[:2], -1).transpose(0, 2, 1)
    return value.reshape(len(value), -1, value.shape[-1])


def _quantize(values: Float32Array, quantization: Quantization, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    integers = np.rint(values / np.float32(quantization.scale)) + quantization.zero_point
    result: Array = np.clip(integers, limits.min, limits.max).astype(dtype)
    return result
