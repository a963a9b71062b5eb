"""Where an integer ONNX graph departs from its simulation: layer outputs side by side."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
from onnx import TensorProto, helper

from edgesmith.formats import simulation
from edgesmith.preprocess import Float32Array, UInt8Array


def rank(
    variant: Path, model: Path, values: dict[str, str], images: UInt8Array
) -> list[tuple[str, float]]:
    """(range key, SQNR in dB) of every quantized tensor, worst first.

    `values` maps range keys to values of the ONNX `model`; `images` are (N, H, W, 3) uint8.
    """
    opened = onnx.load(model)
    opened.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in values.values()
    )
    session = onnxruntime.InferenceSession(
        opened.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    source = opened.graph.input[0].name

    def execute(inputs: Float32Array) -> dict[str, Float32Array]:
        found = session.run(list(values.values()), {source: inputs})
        return dict(zip(values, found, strict=True))

    return simulation.rank(variant, images, execute)
