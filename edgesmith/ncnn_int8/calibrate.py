"""Ranges of what each integer layer will read, from the float model run on images by ncnn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import ncnn
import numpy as np
import numpy.typing as npt

from edgesmith.errors import DataError, ModelError
from edgesmith.ncnn_int8.model import Float32Array, Model
from edgesmith.ncnn_int8.quantize import Scales

Method = Literal["kl", "absmax"]
Float64Array = npt.NDArray[np.float64]
# One pass over the images: (3, height, width) float32 each, as the network takes them.
Images = Callable[[], Iterable[Float32Array]]

BINS = 2048
_LEVELS = 128
# Bins between candidates: 0.2 % of the range. All of them took 13 s for MobileNetV2 in place of 3.
_STEP = 4


def calibrate(
    model: Model, param: Path, binary: Path, images: Images, method: Method
) -> dict[str, Scales]:
    """Scales of every convolution and linear layer of the float `model` in `param` and `binary`.

    `absmax` covers the largest magnitude on the images (one pass over them); `kl` clips where the
    divergence between the values and their 128 magnitudes is least (two passes; Migacz, 2017,
    "8-bit Inference with TensorRT"). Raises DataError without images, ModelError for a model that
    does not run or whose values are all zero or not finite.
    """
    net = _loaded(param, binary)
    blobs = sorted({layer.bottoms[0] for layer in model.weighted()})
    largest = dict.fromkeys(blobs, 0.0)
    for name, values in _tensors(net, model, blobs, images):
        found = float(np.abs(values).max(initial=0.0))
        if not np.isfinite(found):
            raise ModelError(f"{param}: the tensor {name} is not finite on a calibration image")
        largest[name] = max(largest[name], found)
    silent = [name for name in blobs if largest[name] == 0]
    if silent:
        raise ModelError(
            f"{param}: the tensor {silent[0]} is zero on every calibration image; look at the "
            "images, their mean and std, and the model"
        )
    if method == "kl":
        counts = {name: np.zeros(BINS) for name in blobs}
        for name, values in _tensors(net, model, blobs, images):
            within = (0.0, largest[name])
            counts[name] += np.histogram(np.abs(values), BINS, within)[0]
        largest = {name: clip(counts[name], largest[name]) for name in blobs}
    return {layer.name: Scales(largest[layer.bottoms[0]]) for layer in model.weighted()}


def clip(counts: Float64Array, largest: float) -> float:
    """The magnitude at which to clip values whose magnitudes fill equal bins of [0, `largest`].

    Zeros are left out: after a ReLU they are half of all values, exact under any scale, and would
    decide alone.
    """
    counts = counts.copy()
    counts[0] = 0
    if counts.sum() == 0:
        return largest
    candidates = range(_LEVELS, BINS + 1, _STEP)
    kept = min(candidates, key=lambda kept: _divergence(counts, kept))
    return largest * kept / BINS


def _divergence(counts: Float64Array, kept: int) -> float:
    """KL divergence of the counts clipped to `kept` bins from their version of 128 levels."""
    inside = counts[:kept]
    reference = inside.copy()
    reference[-1] += counts[kept:].sum()
    starts = np.arange(_LEVELS) * kept // _LEVELS
    mass = np.add.reduceat(inside, starts)
    filled = np.add.reduceat((inside > 0).astype(np.float64), starts)
    widths = np.diff(np.append(starts, kept))
    level = np.repeat(mass / np.maximum(filled, 1), widths)
    # A bin that only clipping fills has no share in the levels: as good as impossible there.
    spread = np.where(inside > 0, level, 0.0) + 1e-12 * counts.sum()
    p, q = reference / reference.sum(), spread / spread.sum()
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


def _tensors(
    net: ncnn.Net, model: Model, blobs: list[str], images: Images
) -> Iterator[tuple[str, Float32Array]]:
    """Each blob on each image."""
    source = next(layer.tops[0] for layer in model.layers if layer.kind == "Input")
    seen = 0
    for image in images():
        seen += 1
        # ncnn.Mat neither copies nor keeps a reference: `held` has to live while blobs are read.
        held = np.ascontiguousarray(image, np.float32)
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(held))
        for name in blobs:
            status, value = extractor.extract(name)
            if status != 0:
                raise ModelError(
                    f"the tensor {name} cannot be computed from an image of {held.shape} "
                    f"(status {status}); give the size that the model was made for"
                )
            yield name, np.array(value, np.float32)
    if not seen:
        raise DataError("no calibration images: ranges need at least one, better a few hundred")


def _loaded(param: Path, binary: Path) -> ncnn.Net:
    net = ncnn.Net()
    # Every blob is asked for: none may be freed or shortened to halves.
    net.opt.lightmode = False
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    loaded = {param: net.load_param(str(param)), binary: net.load_model(str(binary))}
    for path, status in loaded.items():
        if status != 0:
            raise ModelError(f"{path}: ncnn {ncnn.__version__} cannot load it (status {status})")
    return net
