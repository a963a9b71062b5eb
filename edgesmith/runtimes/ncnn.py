"""NCNN artifacts through ncnn, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

from edgesmith.contract import Description
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.runtimes import tensors
from edgesmith.runtimes.tensors import Array

ENGINE = f"ncnn {ncnn.__version__}"


def available_providers() -> tuple[str, ...]:
    """What a session may be asked for here, by the names of `runtime.providers`."""
    return ("cpu",)


class NcnnSession:
    """One loaded network; `run` may be called any number of times, from one thread at a time."""

    def __init__(self, contract: Description, net: Any, threads: int) -> None:
        """Hold `net`, an `ncnn.Net` whose blobs fit `contract`."""
        self.contract = contract
        self.engine = ENGINE
        self.providers: tuple[str, ...] = ("cpu",)
        self.threads = threads
        self._net = net

    def run(self, images: Float32Array) -> Float32Array:
        """Logits or predictions, see `Session`, of (N, 3, height, width) float32."""
        return tensors.run(images, self.contract, self.call)

    def call(self, batch: Array) -> list[Array]:
        """The network's own outputs, see `Session`, of a batch in its own form."""
        # ncnn.Mat neither copies nor keeps a reference: `image` has to live until after `extract`.
        image = np.ascontiguousarray(batch[0])
        extractor = self._net.create_extractor()
        extractor.input(self.contract.input.name, ncnn.Mat(image))
        found = []
        for output in self.contract.outputs:
            # What the outputs share is computed once: an extractor keeps what it has.
            status, result = extractor.extract(output.name)
            if status != 0:
                raise RuntimeUnavailableError(
                    f"{self.contract.variant}: {ENGINE} ended with status {status}; it is out of "
                    "memory, or lacks a layer in this build: try fewer threads or another ncnn"
                )
            # No copy: the array holds the blob, and no later run writes into it.
            found.append(np.asarray(result)[None])
        return found


def load(
    artifact: Path, contract: Description, threads: int, providers: Sequence[str]
) -> NcnnSession:
    """A session of an artifact whose files were verified.

    Raises RuntimeUnavailableError for a provider other than "cpu" and for a network that ncnn does
    not load, ContractError for one unlike its contract.
    """
    unknown = [provider for provider in providers if provider.lower() != "cpu"]
    if unknown:
        raise RuntimeUnavailableError(
            f"runtime.providers: {unknown[0]!r} is not available in {ENGINE}; available: cpu"
        )
    net = ncnn.Net()
    # Before loading: layers choose their kernels and pack their weights then.
    net.opt.num_threads = threads
    half = contract.precision == "fp16"
    net.opt.use_fp16_packed = half
    net.opt.use_fp16_storage = half
    # Not the sums: where the CPU could (ARMv8.2), another network would run than on x86, whose
    # outputs the export's gate compared (docs/aarch64.md).
    net.opt.use_fp16_arithmetic = False
    param, binary = contract.model_file(artifact, ".param"), contract.model_file(artifact, ".bin")
    # A network that was not loaded ends the process when it runs: look at every status.
    for path, status in (
        (param, net.load_param(str(param))),
        (binary, net.load_model(str(binary))),
    ):
        if status != 0:
            raise RuntimeUnavailableError(
                f"{path}: {ENGINE} cannot load it (status {status}); it was made for another "
                "version: install ncnn as the contract's tools say, or export it again"
            )
    for kind, name, found in (
        ("input", contract.input.name, net.input_names()),
        *[("output", output.name, net.output_names()) for output in contract.outputs],
    ):
        if name not in found:
            raise ContractError(
                f"{param}: no {kind} is named {name!r} as its contract says; it has "
                f"{', '.join(found)}: export it again"
            )
    return NcnnSession(contract, net, threads)
