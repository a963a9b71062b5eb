"""Where an integer NCNN model departs from its simulation: tensors side by side."""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np
import torch

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, keep_tensors, simulate
from edgesmith.errors import ExportError
from edgesmith.formats.ncnn import BINARY, INPUT, PARAM, Blob
from edgesmith.preprocess import UInt8Array, normalise
from edgesmith.report.accuracy import sqnr_db
from edgesmith.tasks.classify import store


def rank(
    variant: Path, artifact: Path, blobs: dict[str, Blob], images: UInt8Array
) -> list[tuple[str, float]]:
    """(range key, SQNR in dB) of every tensor that an integer layer reads, worst first.

    `blobs` says where each key's tensor is in the NCNN model; `images` are (N, H, W, 3) uint8.
    """
    net, card = store.load(variant)
    quantization = ranges.read(variant)
    graph = simulate(net, card.network.input, quantization.scheme)
    give_ranges(graph, quantization.activations)
    expected = keep_tensors(graph)
    runner = _loaded(artifact)
    sums: dict[str, list[float]] = {key: [] for key in blobs}
    for image in images:
        inputs = normalise(image[None], card.network.input)
        expected.clear()
        with torch.no_grad():
            graph(torch.from_numpy(inputs))
        extractor = runner.create_extractor()
        single = np.ascontiguousarray(inputs[0])  # ncnn.Mat keeps no reference to it
        extractor.input(INPUT, ncnn.Mat(single))
        for key, blob in blobs.items():
            status, value = extractor.extract(blob.name)
            if status != 0:
                raise ExportError(f"ncnn: blob {blob.name} ({key}) ended with status {status}")
            found = np.array(value, dtype=np.float32) / np.float32(blob.scale)
            # A pooled tensor has lost its axes of length one.
            sums[key].append(float(sqnr_db(found.reshape(expected[key].shape), expected[key])))
    return sorted(
        ((key, float(np.mean(levels))) for key, levels in sums.items()), key=lambda pair: pair[1]
    )


def _loaded(artifact: Path) -> ncnn.Net:
    net = ncnn.Net()
    # Every blob is asked for: nothing may be freed, shortened to halves or computed anew.
    net.opt.lightmode = False
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(artifact / PARAM)) != 0 or net.load_model(str(artifact / BINARY)) != 0:
        raise ExportError(f"{artifact}: ncnn {ncnn.__version__} cannot load it; export it again")
    return net
