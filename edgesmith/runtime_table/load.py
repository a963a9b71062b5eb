"""What `build` made, as the benchmark's worker times it: torch and nothing of the build."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from edgesmith.preprocess import Preprocess, decode_image, fit, normalise
from edgesmith.runtimes.torch import ENGINE, integer_engine

PICKLE, PACKAGE, SPEC = "network.pickle", "model.pt2", "preprocess.json"


class Compiled(NamedTuple):
    """The loaded network and its timed calls; the `Subject` of `edgesmith.bench.worker`."""

    engine: str
    providers: Sequence[str]
    load_ms: float
    calls: dict[str, Callable[[], object]]


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Compiled:
    """The network in `folder`, batch 1, on the CPU with `threads` threads.

    The pickle runs code: read only what this machine's own benchmark has just written.
    """
    torch.set_num_threads(threads)
    engine = ENGINE
    start = time.perf_counter()
    net: Any
    if (folder / PICKLE).is_file():
        torch.backends.quantized.engine = kernels = integer_engine("cpu")
        engine = f"{ENGINE} {kernels}"
        net = torch.load(folder / PICKLE, weights_only=False)
    else:
        net = torch._inductor.aoti_load_package(str(folder / PACKAGE))
    load_ms = (time.perf_counter() - start) * 1e3
    spec = Preprocess.model_validate_json((folder / SPEC).read_text())
    image = torch.from_numpy(
        normalise(fit(decode_image(frame, "the benchmark's frame"), spec)[None], spec)
    ).contiguous()

    def infer() -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = net(image)
            return logits

    return Compiled(engine, ("cpu",), load_ms, {"infer": infer})
