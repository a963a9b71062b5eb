"""Between images and a network's own tensors, as its contract describes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesmith.contract import Input, Output, Quantization
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


def in_batches(images: Array, batch: int, call: Callable[[Array], Array]) -> Array:
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
        outputs.append(call(piece)[: step - missing])
    return np.concatenate(outputs)


def check_shape(images: Float32Array, spec: Input) -> None:
    """Refuse a batch that is not (N, 3, height, width); ContractError says what was expected."""
    expected = (3, spec.preprocess.height, spec.preprocess.width)
    if images.ndim != 4 or images.shape[1:] != expected:
        raise ContractError(
            f"the network takes (N, {', '.join(map(str, expected))}) and was given "
            f"{images.shape}; prepare images with the contract's own preprocessing"
        )


def _quantize(values: Float32Array, quantization: Quantization, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    integers = np.rint(values / np.float32(quantization.scale)) + quantization.zero_point
    result: Array = np.clip(integers, limits.min, limits.max).astype(dtype)
    return result
