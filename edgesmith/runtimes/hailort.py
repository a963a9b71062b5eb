"""HEF artifacts on a Hailo chip, by pyHailoRT's InferModel in the system's own Python.

pyHailoRT needs numpy below 2, so that it runs in a process of its own (`hef.worker`); frames and
results pass through shared memory. Integers leave the chip and become real values here, by the
scales and zero points that the HEF holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesmith.contract import Description
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.hef import network, preflight
from edgesmith.hef.process import Process
from edgesmith.preprocess import Float32Array
from edgesmith.runtimes import tensors
from edgesmith.runtimes.tensors import Array

ENGINE = "hailort"


def available_providers() -> tuple[str, ...]:
    """What a session may be asked for here; RuntimeUnavailableError without pyHailoRT or a chip."""
    process = Process()
    try:
        if not process.ask("scan")["devices"]:
            raise RuntimeUnavailableError(f"HailoRT, scan: {preflight.REMEDIES[74]}")
    finally:
        process.close()
    return ("hailo",)


class HailoSession:
    """A network on the chip; `run` may be called any number of times, from one thread at a time.

    HailoRT has threads of its own: `threads` is what was asked for and changes nothing.
    """

    def __init__(self, contract: Description, loaded: network.Network, threads: int) -> None:
        """Hold `loaded`, whose tensors fit `contract`."""
        self.contract = contract
        self.engine = f"{ENGINE} {loaded.hailort}"
        self.providers: tuple[str, ...] = ("hailo",)
        self.threads = threads
        self._network = loaded
        names = [stream.name for stream in loaded.outputs]
        order = [names.index(output.name) for output in contract.outputs]
        self._results = [
            (loaded.results[k], network.scale_of(loaded.outputs[k], loaded.hef.file)) for k in order
        ]

    def run(self, images: Float32Array) -> Float32Array:
        """Logits or predictions, see `Session`, of (N, 3, height, width) float32."""
        return tensors.run(images, self.contract, self.call)

    def close(self) -> None:
        """Give the chip back; the session must not be used after."""
        self._network.close()

    def call(self, batch: Array) -> list[Array]:
        """The network's own outputs, see `Session`, of a batch in its own form."""
        np.copyto(self._network.frame, batch[0])
        self._network.run()
        # New arrays: the next run writes into the same memory.
        return [
            ((values.astype(np.float32) - how.zero_point) * how.scale).reshape(spec.shape)
            for (values, how), spec in zip(self._results, self.contract.outputs, strict=True)
        ]


def load(
    artifact: Path, contract: Description, threads: int, providers: Sequence[str]
) -> HailoSession:
    """A session of a HEF artifact whose files were verified.

    Raises RuntimeUnavailableError where pyHailoRT, the chip or its driver is missing or refuses the
    HEF, with the remedy, or `providers` has no "hailo"; ContractError for one unlike its contract.
    """
    if "hailo" not in {name.lower() for name in providers}:
        raise RuntimeUnavailableError(
            f"runtime.providers: {', '.join(providers)}: {ENGINE} executes on hailo alone; "
            "leave the provider out, or name hailo"
        )
    path = contract.model_file(artifact, ".hef")
    loaded = network.Network(path)
    try:
        _check_tensors(path, contract, loaded)
        return HailoSession(contract, loaded, threads)
    except BaseException:
        loaded.close()
        raise


def _check_tensors(path: Path, contract: Description, loaded: network.Network) -> None:
    """Names, dtypes and shapes in the contract must be those of the HEF."""
    spec, frame = contract.input, loaded.frame
    if (spec.shape, spec.dtype, spec.layout) != ([1, *frame.shape], frame.dtype.name, "NHWC"):
        raise ContractError(
            f"{path}: takes {frame.dtype.name} {[1, *frame.shape]} NHWC, its contract says "
            f"{spec.dtype} {spec.shape} {spec.layout}: compile it again"
        )
    found = {stream.name: stream.shape for stream in loaded.outputs}
    for output in contract.outputs:
        if output.name not in found:
            raise ContractError(
                f"{path}: no output is named {output.name!r} as its contract says; it has "
                f"{', '.join(found)}: compile it again"
            )
        shape = found[output.name]
        wanted = output.shape[1:] if len(output.shape) == 4 else [1, 1, output.shape[1]]
        if shape != wanted or output.dtype != "float32":
            raise ContractError(
                f"{path}: output {output.name!r} is {shape}, its contract says {output.dtype} "
                f"{wanted}: compile it again"
            )
