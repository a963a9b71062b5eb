"""An export of Ultralytics as the worker times it; see `edgesmith.bench.worker.Loader`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.peers.detect import artifact
from benchmarks.peers.detect.outputs import in_image, predicting
from edgesmith.bench import timing
from edgesmith.errors import ContractError
from edgesmith.preprocess import decode_image, fit
from edgesmith.runtimes.session import Session
from edgesmith.runtimes.tensors import encode, network_input


class Timed:
    """The loaded export and its two timed calls, as `edgesmith.bench.artifact` has them of ours.

    The runtime, the decoding of the image and the letterbox are the same as ours. From the output
    tensor on it is Ultralytics: its NMS, and its way back to the pixels of the image.
    """

    def __init__(self, folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> None:
        """Load the export; torch, which its NMS runs on, takes as many threads."""
        torch.set_num_threads(threads)
        loaded: list[Session] = []
        self.load_ms = timing.time_once(
            lambda: loaded.append(artifact.load(folder, threads, tuple(providers)))
        )
        self._session = loaded[0]
        self._frame = frame
        self.engine = self._session.engine
        self.providers: Sequence[str] = self._session.providers
        contract = self._session.contract
        if contract.boxes is None:
            raise ContractError(f"{folder / artifact.FILE}: no `boxes`; run this command again")
        self._rule = predicting(contract.boxes)
        image = fit(decode_image(frame, "the benchmark's frame"), contract.input.preprocess)
        self._input = encode(network_input(image[None], contract.input), contract.input)
        self.calls: Mapping[str, Callable[[], None]] = {
            "infer": self._infer,
            "end_to_end": self._end_to_end,
        }

    def _infer(self) -> None:
        self._session.call(self._input)

    def _end_to_end(self) -> None:
        contract = self._session.contract
        image = decode_image(self._frame, "the benchmark's frame")
        fitted = fit(image, contract.input.preprocess)
        output = self._session.run(network_input(fitted[None], contract.input))
        in_image(output[0], contract, self._rule, *image.shape[:2])


load = Timed
