"""What every bare loop starts from: the network's own input tensor, made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from edgesmith import contract as contracts
from edgesmith.contract import Contract
from edgesmith.preprocess import decode_image, fit
from edgesmith.runtimes.tensors import Array, encode, network_input


class Loop(NamedTuple):
    """A bare loop's network; the `Subject` of `edgesmith.bench.worker`."""

    engine: str
    providers: Sequence[str]
    load_ms: float
    calls: dict[str, Callable[[], object]]


def tensor(folder: Path, frame: bytes) -> tuple[Contract, Array]:
    """The contract, and the frame in the layout, dtype and quantization of the network's input."""
    contract = contracts.read(folder)
    image = fit(decode_image(frame, "the benchmark's frame"), contract.input.preprocess)
    return contract, encode(network_input(image[None], contract.input), contract.input)
