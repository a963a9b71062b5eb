"""NCNN networks written by hand, layer by layer: no converter, no torch."""

from __future__ import annotations

import struct
from pathlib import Path

import ncnn
import numpy as np
import numpy.typing as npt

from edgesmith.ncnn_int8.model import Layer, Model, write

Float32Array = npt.NDArray[np.float32]
RELU = 1


def weighted(
    kind: str,
    name: str,
    bottom: str,
    top: str,
    weight: Float32Array,
    bias: Float32Array | None = None,
    params: dict[int, object] | None = None,
) -> Layer:
    """A layer with float weights (outputs, …); `params` adds to bias and counts."""
    linear = kind == "InnerProduct"
    numbers = {0: len(weight), (1 if linear else 5): int(bias is not None)}
    numbers |= {(2 if linear else 6): weight.size}
    data = struct.pack("<I", 0) + weight.astype("<f4").tobytes()
    data += b"" if bias is None else bias.astype("<f4").tobytes()
    texts = {key: str(value) for key, value in (numbers | (params or {})).items()}
    return Layer(kind, name, (bottom,), (top,), dict(sorted(texts.items())), data)


def conv(name: str, bottom: str, top: str, weight: Float32Array, **options: int) -> Layer:
    """A 1 x 1 or 3 x 3 convolution of the same size, with a bias of 0.1 and, if asked, a ReLU."""
    kernel, groups = weight.shape[-1], options.get("groups", 1)
    params = {1: kernel, 3: options.get("stride", 1), 4: kernel // 2, 9: options.get("relu", 0)}
    kind = "ConvolutionDepthWise" if groups > 1 else "Convolution"
    params |= {7: groups} if groups > 1 else {}
    bias = np.full(len(weight), 0.1, np.float32)
    return weighted(kind, name, bottom, top, weight, bias, params)


def plain(kind: str, name: str, bottoms: str, tops: str, **params: object) -> Layer:
    """A layer without weights; blobs in one string, parameters as `p0=1`."""
    texts = {int(key[1:]): str(value) for key, value in params.items()}
    return Layer(kind, name, tuple(bottoms.split()), tuple(tops.split()), texts)


INPUT = plain("Input", "in0", "", "in0")


def residual() -> Model:
    """A stem, a depthwise and a pointwise layer, a residual block, pooling and four classes."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Float32Array:
        fan_in = np.prod(shape[1:])
        return (rng.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)

    return Model(
        (
            INPUT,
            conv("stem", "in0", "a", weight(16, 3, 3, 3), stride=2, relu=RELU),
            conv("depthwise", "a", "b", weight(16, 1, 3, 3), groups=16, relu=RELU),
            conv("project", "b", "c", weight(16, 16, 1, 1)),
            plain("Split", "split", "c", "c0 c1"),
            conv("dense", "c1", "d", weight(16, 16, 3, 3)),
            plain("BinaryOp", "add", "c0 d", "e", p0=0),
            plain("Pooling", "pool", "e", "f", p0=1, p4=1),
            weighted("InnerProduct", "linear", "f", "out0", weight(4, 16), np.zeros(4, np.float32)),
        )
    )


def store(model: Model, folder: Path, name: str = "model") -> tuple[Path, Path]:
    """Write both files; their paths."""
    paths = folder / f"{name}.param", folder / f"{name}.bin"
    write(model, *paths)
    return paths


def run(param: Path, binary: Path, image: Float32Array, blob: str = "out0") -> Float32Array:
    """A blob, of a (channels, height, width) image."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(binary)) == 0
    held = np.ascontiguousarray(image, np.float32)
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(held))
    status, value = extractor.extract(blob)
    assert status == 0
    return np.array(value, np.float32)


def images(count: int, size: int = 16) -> Float32Array:
    """(count, 3, size, size) of normal noise."""
    return np.random.default_rng(1).normal(size=(count, 3, size, size)).astype(np.float32)
