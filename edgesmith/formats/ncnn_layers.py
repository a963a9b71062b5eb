"""Where an integer NCNN model departs from its simulation: tensors side by side."""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np

from edgesmith.errors import ExportError
from edgesmith.formats import simulation
from edgesmith.formats.ncnn import BINARY, INPUT, PARAM, Blob
from edgesmith.preprocess import Float32Array, UInt8Array


def rank(
    variant: Path, artifact: Path, blobs: dict[str, Blob], images: UInt8Array
) -> list[tuple[str, float]]:
    """(range key, SQNR in dB) of every tensor that an integer layer reads, worst first.

    `blobs` says where each key's tensor is in the NCNN model; `images` are (N, H, W, 3) uint8.
    """
    runner = _loaded(artifact)

    def execute(inputs: Float32Array) -> dict[str, Float32Array]:
        extractor = runner.create_extractor()
        single = np.ascontiguousarray(inputs[0])  # ncnn.Mat keeps no reference to it
        extractor.input(INPUT, ncnn.Mat(single))
        found = {}
        for key, blob in blobs.items():
            status, value = extractor.extract(blob.name)
            if status != 0:
                raise ExportError(f"ncnn: blob {blob.name} ({key}) ended with status {status}")
            found[key] = np.array(value, dtype=np.float32) / np.float32(blob.scale)
        return found

    return simulation.rank(variant, images, execute)


def _loaded(artifact: Path) -> ncnn.Net:
    net = ncnn.Net()
    # Every blob is asked for: nothing may be freed, shortened to halves or computed anew.
    net.opt.lightmode = False
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(artifact / PARAM)) != 0 or net.load_model(str(artifact / BINARY)) != 0:
        raise ExportError(f"{artifact}: ncnn {ncnn.__version__} cannot load it; export it again")
    return net
