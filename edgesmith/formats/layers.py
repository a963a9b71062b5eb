"""Where an integer ONNX graph departs from its simulation: layer outputs side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, keep_tensors, simulate
from edgesmith.preprocess import UInt8Array, normalise
from edgesmith.report.accuracy import sqnr_db
from edgesmith.tasks.classify import store


def rank(
    variant: Path, model: Path, values: dict[str, str], images: UInt8Array
) -> list[tuple[str, float]]:
    """(range key, SQNR in dB) of every quantized tensor, worst first.

    `values` maps range keys to values of the ONNX `model`; `images` are (N, H, W, 3) uint8.
    """
    net, card = store.load(variant)
    quantization = ranges.read(variant)
    graph = simulate(net, card.network.input, quantization.scheme)
    give_ranges(graph, quantization.activations)
    expected = keep_tensors(graph)
    opened = onnx.load(model)
    opened.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in values.values()
    )
    session = onnxruntime.InferenceSession(
        opened.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    sums: dict[str, list[float]] = {key: [] for key in values}
    for image in images:
        inputs = normalise(image[None], card.network.input)
        expected.clear()
        with torch.no_grad():
            graph(torch.from_numpy(inputs))
        found = session.run(list(values.values()), {opened.graph.input[0].name: inputs})
        for key, value in zip(values, found, strict=True):
            if key in expected:
                sums[key].append(float(sqnr_db(value, expected[key])))
    return sorted(
        ((key, float(np.mean(levels))) for key, levels in sums.items() if levels),
        key=lambda pair: pair[1],
    )
