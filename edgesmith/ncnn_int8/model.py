"""NCNN's two files, `.param` (text) and `.bin` (weights), as layers that can be changed.

The layout follows ncnn's own loader: `.bin` holds the arrays of the layers in the order of `.param`
without names or lengths, so what a layer reads has to be known for every type.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgesmith import files
from edgesmith.errors import ExportError, ModelError

Float32Array = npt.NDArray[np.float32]

_MAGIC = "7767517"
# What comes first in the arrays that ncnn may hold in another type than float32.
FLOAT32, FLOAT16, INT8 = 0, 0x01306B47, 0x000D4B38
CONVOLUTIONS = {"Convolution", "ConvolutionDepthWise"}
WEIGHTED = CONVOLUTIONS | {"InnerProduct"}
# Layers that read nothing of the .bin: their values stay float, and no rule is needed.
# fmt: off
_WEIGHTLESS = {
    "BinaryOp", "Clip", "Concat", "Crop", "Dropout", "ELU", "Eltwise", "ExpandDims", "Flatten",
    "GELU", "HardSigmoid", "HardSwish", "Input", "Interp", "MatMul", "Mish", "Noop", "Padding",
    "Permute", "PixelShuffle", "Pooling", "Reduction", "ReLU", "Reshape", "ShuffleChannel",
    "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Swish", "TanH", "UnaryOp",
}
# fmt: on
# Parameter numbers of each weighted layer: whether there is a bias, and how many weights.
_BIAS = {"Convolution": 5, "ConvolutionDepthWise": 5, "InnerProduct": 1}
_COUNT = {"Convolution": 6, "ConvolutionDepthWise": 6, "InnerProduct": 2}
INT8_TERM = 8
_DYNAMIC_WEIGHT = 19


@dataclass(frozen=True)
class Layer:
    """One line of `.param` and its share of `.bin`, both as they stand in the files."""

    kind: str
    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    params: dict[int, str]
    data: bytes = b""

    def integer(self, number: int, default: int = 0) -> int:
        """Value of a parameter that is an integer."""
        text = self.params.get(number, str(default))
        try:
            return int(text)
        except ValueError:
            raise ModelError(
                f"layer {self.name}: parameter {number}={text} is no integer"
            ) from None

    @property
    def outputs(self) -> int:
        """Output channels of a weighted layer."""
        return self.integer(0)

    def weights(self) -> tuple[Float32Array, Float32Array]:
        """(outputs, weights per output) and the bias (outputs,), empty where there is none."""
        values, used = _array(self, self.data, self.integer(_COUNT[self.kind]))
        bias = np.frombuffer(self.data[used:], "<f4")
        return values.reshape(self.outputs, -1), bias

    def with_integers(
        self, integers: npt.NDArray[np.int8], floats: list[Float32Array], params: dict[int, str]
    ) -> Layer:
        """The layer with int8 weights, then `floats` one after another, and `params` added."""
        raw = integers.tobytes()
        parts = [struct.pack("<I", INT8), raw, bytes(-len(raw) % 4)]
        parts += [values.astype("<f4").tobytes() for values in floats]
        return replace(self, params=self.params | params, data=b"".join(parts))


@dataclass(frozen=True)
class Model:
    """Layers in the order in which they run."""

    layers: tuple[Layer, ...]

    def readers(self) -> dict[str, list[Layer]]:
        """The layers that read each blob."""
        found: dict[str, list[Layer]] = {}
        for layer in self.layers:
            for name in layer.bottoms:
                found.setdefault(name, []).append(layer)
        return found

    def weighted(self) -> list[Layer]:
        """Convolutions and linear layers, in the order in which they run."""
        return [layer for layer in self.layers if layer.kind in WEIGHTED]


def read(param: Path, binary: Path) -> Model:
    """Parse both files of a float model.

    Raises ModelError for files that are damaged, cut or of two different models, ExportError for a
    layer type without a rule and for a model that is quantized already.
    """
    layers = _parse(param)
    try:
        content = binary.read_bytes()
    except OSError as error:
        raise ModelError(f"{binary}: cannot be read ({error.strerror})") from error
    position, filled = 0, []
    for layer in layers:
        try:
            size = _size(layer, content[position:])
        except ModelError as error:
            raise ModelError(f"{binary}: {error}; convert the model again") from error
        filled.append(replace(layer, data=content[position : position + size]))
        position += size
    if position != len(content):
        raise ModelError(
            f"{binary}: {len(content)} bytes, and the layers of {param.name} hold {position}; "
            "the two files are of different models or damaged: convert the model again"
        )
    return Model(tuple(filled))


def write(model: Model, param: Path, binary: Path) -> None:
    """Write both files, the weights first: a `.param` never stands for weights not yet there."""
    blobs = {name for layer in model.layers for name in layer.tops}
    lines = [_MAGIC, f"{len(model.layers)} {len(blobs)}"]
    for layer in model.layers:
        counts = f"{len(layer.bottoms)} {len(layer.tops)}"
        params = [f"{key}={value}" for key, value in layer.params.items()]
        parts = [f"{layer.kind:<24} {layer.name:<24} {counts}", *layer.bottoms, *layer.tops]
        lines.append(" ".join([*parts, *params]))
    files.write_bytes(binary, b"".join(layer.data for layer in model.layers))
    files.write_text(param, "\n".join(lines) + "\n")


def _parse(param: Path) -> list[Layer]:
    try:
        lines = param.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise ModelError(f"{param}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{param}: not a text file; give the .param, then the .bin") from error
    if not lines or lines[0].strip() != _MAGIC:
        raise ModelError(f"{param}: does not start with {_MAGIC}; it is no ncnn .param file")
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()][1:]
    try:
        layer_count, blob_count = (int(word) for word in rows[0][1])
    except (IndexError, ValueError):
        raise ModelError(f"{param}: line 2: expected the counts of layers and blobs") from None
    layers = [_line(param, number, words) for number, words in rows[1:]]
    blobs = [name for layer in layers for name in layer.tops]
    if (len(layers), len(blobs)) != (layer_count, blob_count):
        raise ModelError(
            f"{param}: {len(layers)} layers and {len(blobs)} blobs where line 2 says {layer_count} "
            f"and {blob_count}; the file is cut or was changed by hand: convert the model again"
        )
    known: set[str] = set()
    for layer in layers:
        missing = [name for name in layer.bottoms if name not in known]
        if missing:
            raise ModelError(f"{param}: layer {layer.name}: no layer before it gives {missing[0]}")
        known |= set(layer.tops)
    return layers


def _line(param: Path, number: int, words: list[str]) -> Layer:
    """`type name inputs outputs input… output… key=value…`."""
    try:
        kind, name, bottoms, tops = words[0], words[1], int(words[2]), int(words[3])
        end = 4 + bottoms + tops
        names = words[4:end]
        pairs = [word.split("=", 1) for word in words[end:]]
        params = {int(key): value for key, value in pairs}
    except (IndexError, ValueError):
        raise ModelError(
            f"{param}: line {number}: not a layer: {' '.join(words)[:60]!r}; convert it again"
        ) from None
    if len(names) != bottoms + tops or any("=" in blob for blob in names):
        raise ModelError(f"{param}: line {number}: layer {name} lacks names of blobs")
    layer = Layer(kind, name, tuple(names[:bottoms]), tuple(names[bottoms:]), params)
    _check(param, layer)
    return layer


def _check(param: Path, layer: Layer) -> None:
    """Refuse what cannot be quantized, before any weight is read by a wrong rule."""
    if layer.kind not in WEIGHTED | _WEIGHTLESS | {"MemoryData"}:
        raise ExportError(
            f"{param}: layer {layer.name} ({layer.kind}): no rule for this type; keep the model "
            "float, or add a rule to ncnn_int8/model.py"
        )
    if layer.kind not in WEIGHTED:
        return
    if layer.integer(INT8_TERM):
        raise ExportError(f"{param}: layer {layer.name} is int8 already; give the float model")
    if layer.kind in CONVOLUTIONS and layer.integer(_DYNAMIC_WEIGHT):
        raise ExportError(f"{param}: layer {layer.name}: weights that are computed stay float")
    outputs, count = layer.outputs, layer.integer(_COUNT[layer.kind])
    if outputs < 1 or count < 1 or count % outputs:
        raise ModelError(f"{param}: layer {layer.name}: {count} weights for {outputs} channels")


def _size(layer: Layer, rest: bytes) -> int:
    """Bytes that the layer reads at the start of `rest`."""
    if layer.kind == "MemoryData":
        count = prod(max(layer.integer(key), 1) for key in (0, 1, 11, 2))
        if layer.integer(21, 1) == 0:
            return _array(layer, rest, count)[1]
        return len(_take(layer, rest, 0, 4 * count))
    if layer.kind not in WEIGHTED:
        return 0
    values, used = _array(layer, rest, layer.integer(_COUNT[layer.kind]))
    bias = layer.outputs if layer.integer(_BIAS[layer.kind]) else 0
    raw = _take(layer, rest, used, 4 * bias)
    if not (np.isfinite(values).all() and np.isfinite(np.frombuffer(raw, "<f4")).all()):
        raise ModelError(f"layer {layer.name}: a weight is not finite")
    return used + len(raw)


def _array(layer: Layer, rest: bytes, count: int) -> tuple[Float32Array, int]:
    """A tagged array as float32 and the bytes that it takes, padding included."""
    (tag,) = struct.unpack("<I", _take(layer, rest, 0, 4))
    if tag not in {FLOAT32, FLOAT16}:
        raise ModelError(f"layer {layer.name}: its weights start with the unknown tag {tag:#010x}")
    dtype = "<f4" if tag == FLOAT32 else "<f2"
    size = count * np.dtype(dtype).itemsize
    raw = _take(layer, rest, 4, size + -size % 4)
    return np.frombuffer(raw[:size], dtype).astype(np.float32), 4 + len(raw)


def _take(layer: Layer, rest: bytes, start: int, size: int) -> bytes:
    taken = rest[start : start + size]
    if len(taken) < size:
        raise ModelError(f"layer {layer.name}: the file ends {size - len(taken)} bytes too early")
    return taken
