"""A detector small enough to make in a test: it finds cells of pure red, green or blue.

Per level the image is averaged over each cell; scores and distances are linear in the three means.
A cell of one pure colour gives a box that is the cell, at stride 8 alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesmith import contract as contracts
from edgesmith.contract import Boxes, Contract, Input, Output, Quantization
from edgesmith.preprocess import Preprocess
from tests.artifacts import LABELS, make_artifact

SPEC = Preprocess(
    height=32, width=48, resize="letterbox", antialias=False, mean=(0, 0, 0), std=(255, 255, 255)
)
STRIDES = (8, 16)
CELLS = 4 * 6 + 2 * 3
DISTANCES = np.array([[0, 0.1, 0], [0, 0, 0.1], [0, 0.2, 0], [0, 0, 0.2]], np.float32)
SCORES = 40 * np.eye(3, dtype=np.float32) - 20
# Of distances and, by stride, of scores.
HALF = np.full(4, 0.5, np.float32)
OFFSETS = {8: np.full(3, -10, np.float32), 16: np.full(3, -30, np.float32)}
STEP = Quantization(scale=0.25, zero_point=128)


def expected(images: np.ndarray) -> np.ndarray:
    """(N, CELLS, 7) predictions for (N, 3, 32, 48) float32, computed in numpy."""
    levels = []
    for stride in STRIDES:
        rows, columns = SPEC.height // stride, SPEC.width // stride
        cells = images.reshape(len(images), 3, rows, stride, columns, stride).mean(axis=(3, 5))
        means = cells.reshape(len(images), 3, -1).transpose(0, 2, 1)
        scores = means @ SCORES.T + OFFSETS[stride]
        levels.append(np.concatenate([means @ DISTANCES.T + HALF, scores], axis=2))
    return np.concatenate(levels, axis=1)


def images(count: int) -> np.ndarray:
    """(count, 32, 48, 3) uint8 noise."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, SPEC.height, SPEC.width, 3), dtype=np.uint8)


def outputs(
    names: list[str], batch: int = 1, layout: str = "NCHW", quantized: bool = False
) -> list[Output]:
    """Boxes and scores of stride 8, then of 16, as the contract describes them."""
    found = []
    for number, name in enumerate(names):
        stride, channels = STRIDES[number // 2], (4, 3)[number % 2]
        size = [SPEC.height // stride, SPEC.width // stride]
        found.append(
            Output(
                name=name,
                meaning=("boxes", "scores")[number % 2],
                dtype="uint8" if quantized else "float32",
                layout=layout,
                shape=[batch, channels, *size] if layout == "NCHW" else [batch, *size, channels],
                decode=("ltrb", "sigmoid")[number % 2],
                stride=stride,
                quantization=STEP if quantized else None,
            )
        )
    return found


def describe(folder: Path, format_name: str, source: Input, found: list[Output]) -> Contract:
    """Write the contract of a folder whose other files are the network's."""
    contract = contracts.read(folder).model_copy(
        update={
            "task": "detect",
            "format": format_name,
            "labels": LABELS,
            "input": source,
            "outputs": found,
            "boxes": Boxes(head="one-to-one"),
            "files": contracts.describe_files(folder),
        }
    )
    contracts.write(contract, folder)
    return contract


def make_detector(
    folder: Path, *, batch: int = 1, layout: str = "NCHW", quantized: bool = False
) -> Path:
    """An artifact folder with the network as `model.onnx`; `layout` is that of its outputs."""
    make_artifact(folder)
    names = ["boxes8", "scores8", "boxes16", "scores16"]
    found = outputs(names, batch, layout, quantized)
    onnx.save(_network(found, batch, layout, quantized), folder / "model.onnx")
    shape = [batch, 3, SPEC.height, SPEC.width]
    source = Input(name="image", layout="NCHW", dtype="float32", shape=shape, preprocess=SPEC)
    describe(folder, "onnx", source, found)
    return folder


def _network(found: list[Output], batch: int, layout: str, quantized: bool) -> onnx.ModelProto:
    constants = {
        "distances": DISTANCES[:, :, None, None],
        "scores": SCORES[:, :, None, None],
        "half": HALF,
        "scale": np.array(STEP.scale, np.float32),
        "zero": np.array(STEP.zero_point, np.uint8),
    }
    nodes = []

    def add(operator: str, sources: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operator, sources, [output], **attributes))
        return output

    for number, output in enumerate(found):
        stride = output.stride
        constants[f"offsets{stride}"] = OFFSETS[stride]
        size = [stride, stride]
        mean = add("AveragePool", ["image"], f"mean{number}", kernel_shape=size, strides=size)
        weights = ["distances", "half"] if number % 2 == 0 else ["scores", f"offsets{stride}"]
        steps = [("Conv", weights, {})]
        steps += [("Transpose", [], {"perm": [0, 2, 3, 1]})] if layout == "NHWC" else []
        steps += [("QuantizeLinear", ["scale", "zero"], {})] if quantized else []
        value = mean
        for last, (operator, more, attributes) in enumerate(steps, start=1 - len(steps)):
            name = output.name if last == 0 else f"{operator}{number}"
            value = add(operator, [value, *more], name, **attributes)
    kind = TensorProto.UINT8 if quantized else TensorProto.FLOAT
    free = ["N"] if batch < 0 else [batch]
    graph = helper.make_graph(
        nodes,
        "detector",
        [
            helper.make_tensor_value_info(
                "image", TensorProto.FLOAT, [*free, 3, SPEC.height, SPEC.width]
            )
        ],
        [
            helper.make_tensor_value_info(output.name, kind, [*free, *output.shape[1:]])
            for output in found
        ],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
