"""An artifact as the worker times it: loaded by its runtime, on one prepared input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgesmith import contract as contracts
from edgesmith.bench import timing
from edgesmith.decode.classify import top_k
from edgesmith.decode.detect import objects
from edgesmith.errors import ContractError
from edgesmith.preprocess import decode_image, fit
from edgesmith.runtimes import session as runtimes
from edgesmith.runtimes.tensors import encode, network_input

# A session calls the network with this many images at most (runtimes.tensors).
FREE_BATCH = 64


class Artifact:
    """The loaded artifact and its two timed calls: the network alone, and from JPEG to result."""

    def __init__(
        self,
        folder: Path,
        threads: int,
        providers: Sequence[str],
        frame: bytes,
        batch: int = 1,
    ) -> None:
        """Import the engine, then time the load: hash check, parsing, graph optimisation.

        `infer` runs `batch` copies of the image in one call; ContractError where the network
        takes another number.
        """
        runtimes.engine(folder, contracts.read(folder))
        loaded: list[runtimes.Session] = []
        self.load_ms = timing.time_once(
            lambda: loaded.append(runtimes.load(folder, threads, providers))
        )
        self._session = loaded[0]
        self._frame = frame
        self.engine = self._session.engine
        self.providers: Sequence[str] = self._session.providers
        spec = self._session.contract.input
        image = fit(decode_image(frame, "the benchmark's frame"), spec.preprocess)
        _check_batch(folder, spec.shape[0], batch)
        self._input = encode(network_input(np.repeat(image[None], batch, axis=0), spec), spec)
        self.calls: Mapping[str, Callable[[], None]] = {
            "infer": self._infer,
            "end_to_end": self._end_to_end,
        }

    def _infer(self) -> None:
        """The network alone, on its own input tensor: what a bare loop over its runtime times.

        docs/native-check.md holds the two beside each other. Layout and quantization of the input
        and float32 outputs are in the end-to-end figure.
        """
        self._session.call(self._input)

    def _end_to_end(self) -> None:
        """From the bytes of an encoded image to a label, or to boxes in its own pixels."""
        contract = self._session.contract
        image = decode_image(self._frame, "the benchmark's frame")
        fitted = fit(image, contract.input.preprocess)
        output = self._session.run(network_input(fitted[np.newaxis], contract.input))
        if contract.task == "detect":
            height, width = image.shape[:2]
            objects(output[0], contract, height, width)
        else:
            top_k(output, contract.labels, 1)


def _check_batch(folder: Path, fixed: int, batch: int) -> None:
    if batch not in (1, fixed) and (fixed > 0 or batch > FREE_BATCH):
        takes = f"{fixed}" if fixed > 0 else f"1 to {FREE_BATCH}"
        raise ContractError(
            f"{folder}: a call takes {takes} image(s), not {batch}; for a free batch export it "
            "with `params.yaml: export.batch: dynamic` (ONNX)"
        )


load = Artifact
