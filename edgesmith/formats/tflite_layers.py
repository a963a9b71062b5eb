"""Where an integer .tflite file departs from its simulation: layer outputs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgesmith.contract import Description
from edgesmith.formats import simulation
from edgesmith.preprocess import Float32Array, UInt8Array
from edgesmith.runtimes import tensors


def rank(
    variant: Path, model: Path, described: Description, images: UInt8Array
) -> list[tuple[str, float]]:
    """(range key, SQNR in dB) of every quantized tensor of `model`, worst first.

    `images` are (N, H, W, 3) uint8. XNNPACK keeps no tensor inside, so LiteRT's own kernels run.
    """
    interpreter = Interpreter(
        model_path=str(model),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    details = [entry for entry in interpreter.get_tensor_details() if entry["dtype"] == np.int8]

    def execute(inputs: Float32Array) -> dict[str, Float32Array]:
        source = interpreter.get_input_details()[0]["index"]
        interpreter.set_tensor(source, tensors.encode(inputs, described.input))
        interpreter.invoke()
        return {entry["name"]: _real(interpreter, entry) for entry in details}

    return simulation.rank(variant, images, execute)


def _real(interpreter: Any, detail: dict[str, Any]) -> Float32Array:
    """A tensor's real values, channels first."""
    scale, zero_point = detail["quantization"]
    values: Float32Array = interpreter.get_tensor(detail["index"]).astype(np.float32)
    values = (values - np.float32(zero_point)) * np.float32(scale)
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
