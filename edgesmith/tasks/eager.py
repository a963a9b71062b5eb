"""A stored network in PyTorch's eager mode, as the benchmark's worker times it.

What a user's script does after training: `net.eval()`, `torch.inference_mode()`, one contiguous
NCHW image. No compilation, no channels-last, no fusion: the starting point of the whole chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from edgesmith.preprocess import decode_image, fit, normalise
from edgesmith.tasks import store


class Eager(NamedTuple):
    """The loaded network and its timed calls; the `Subject` of `edgesmith.bench.worker`."""

    engine: str
    providers: Sequence[str]
    load_ms: float
    calls: dict[str, Callable[[], object]]


def load(folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> Eager:
    """The network in `folder` (models/<variant>), batch 1, on the CPU with `threads` threads.

    `providers` are for artifacts; the caller measures those on the CPU too.
    """
    torch.set_num_threads(threads)
    start = time.perf_counter()
    net, card = store.load(folder)
    load_ms = (time.perf_counter() - start) * 1e3
    spec = card.network.input
    image = torch.from_numpy(
        normalise(fit(decode_image(frame, "the benchmark's frame"), spec)[None], spec)
    ).contiguous()

    def infer() -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = net(image)
            return logits

    return Eager(f"torch {torch.__version__}", ("cpu",), load_ms, {"infer": infer})
