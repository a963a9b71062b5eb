"""What formats ask the simulated integer graph: whose range a layer reads, and layer outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, simulate, tensor_ranges
from edgesmith.preprocess import Float32Array, UInt8Array, normalise
from edgesmith.report.accuracy import sqnr_db
from edgesmith.tasks import store

# Real values by range key of one image (1, 3, height, width) float32, channels first as torch's.
Execute = Callable[[Float32Array], Mapping[str, Float32Array]]


def rank(variant: Path, images: UInt8Array, execute: Execute) -> list[tuple[str, float]]:
    """(range key, SQNR in dB) of every quantized tensor that `execute` gives, worst first.

    `images` are (N, H, W, 3) uint8.
    """
    net, card = store.load(variant)
    quantization = ranges.read(variant)
    graph = simulate(net, card.network.input, quantization.scheme, quantization.float_layers)
    give_ranges(graph, quantization.activations)
    expected: dict[str, Float32Array] = {}
    for key, tensor in tensor_ranges(graph).items():

        def keep(_: object, __: object, output: torch.Tensor, key: str = key) -> None:
            # A copy: the next operator may work in place (`hardswish_`, a residual `add_`).
            expected.setdefault(key, output.detach().numpy().copy())

        tensor.register_forward_hook(keep)
    levels: dict[str, list[float]] = {}
    for image in images:
        inputs = normalise(image[None], card.network.input)
        expected.clear()
        with torch.no_grad():
            graph(torch.from_numpy(inputs))
        for key, value in execute(inputs).items():
            if key in expected:
                # Some runtimes drop axes of length one.
                own = value.reshape(expected[key].shape)
                levels.setdefault(key, []).append(float(sqnr_db(own, expected[key])))
    means = ((key, float(np.mean(found))) for key, found in levels.items())
    return sorted(means, key=lambda pair: pair[1])
