"""ncnn, bare: an Extractor per image, as ncnn's own `benchncnn` does it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import ncnn
import numpy as np

from benchmarks.native.prepared import Loop, tensor


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Loop:
    """The loop over `create_extractor`, `input` and `extract` of every output."""
    contract, batch = tensor(folder, frame)
    start = time.perf_counter()
    net = ncnn.Net()
    net.opt.num_threads = threads
    half = contract.precision == "fp16"
    net.opt.use_fp16_packed = half
    net.opt.use_fp16_storage = half
    net.opt.use_fp16_arithmetic = False
    net.load_param(str(contract.model_file(folder, ".param")))
    net.load_model(str(contract.model_file(folder, ".bin")))
    load_ms = (time.perf_counter() - start) * 1e3
    image = np.ascontiguousarray(batch[0])
    names = [output.name for output in contract.outputs]

    def infer() -> None:
        extractor = net.create_extractor()
        extractor.input(contract.input.name, ncnn.Mat(image))
        for name in names:
            extractor.extract(name)

    return Loop(f"ncnn {ncnn.__version__}", ("cpu",), load_ms, {"infer": infer})
