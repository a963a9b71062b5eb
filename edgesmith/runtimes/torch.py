"""TorchScript artifacts through PyTorch: the one runtime that needs torch, of the build side.

The other runtimes are for devices; this one is here to measure PyTorch beside them.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from edgesmith.contract import Description
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.runtimes import tensors
from edgesmith.runtimes.tensors import Array

ENGINE = f"torch {torch.__version__}"

# Libraries of integer kernels, best first. oneDNN gives the simulated graph's values bit for bit
# where the CPU has VNNI. FBGEMM's depthwise kernels add pairs of products in 16 bits and saturate,
# VNNI or not (EfficientNet-Lite0: 22 dB against oneDNN's 38); QNNPACK, the one of torch for ARM,
# rounds a little differently in every layer (30 dB).
_X86 = platform.machine().lower() in {"x86_64", "amd64"}
INTEGER_ENGINES = ("onednn", "qnnpack", "fbgemm") if _X86 else ("qnnpack", "onednn")


class TorchSession:
    """One loaded network; `run` may be called any number of times, from one thread at a time."""

    def __init__(
        self, contract: Description, net: Any, provider: str, engine: str, threads: int
    ) -> None:
        """Hold `net`, a TorchScript module whose input and output fit `contract`."""
        self.contract = contract
        self.engine = engine
        self.providers: tuple[str, ...] = (provider,)
        self.threads = threads
        self._net = net
        self._device = "cuda" if provider == "cuda" else "cpu"

    def run(self, images: Float32Array) -> Float32Array:
        """Logits or predictions, see `Session`, of (N, 3, height, width) float32."""
        return tensors.run(images, self.contract, self.call)

    def call(self, batch: Array) -> list[Array]:
        """The network's own outputs, see `Session`, of a batch in its own form."""
        with torch.inference_mode():
            found = _as_tuple(self._net(torch.from_numpy(batch).to(self._device)))
        return [output.cpu().numpy() for output in found]


def load(
    artifact: Path, contract: Description, threads: int, providers: Sequence[str]
) -> TorchSession:
    """A session of an artifact whose files were verified; the first provider is used.

    "cpu", "cuda" (FP32 alone), or for INT8 the name of an engine: "qnnpack", "fbgemm", "onednn".
    Threads and engine are the process's: the session that was loaded last sets them. Raises
    RuntimeUnavailableError for a provider that this torch or this artifact does not have and for a
    file that torch does not load, ContractError for a network unlike its contract.
    """
    provider = providers[0].lower()
    path = contract.model_file(artifact, ".pt")
    name = ENGINE
    if contract.precision == "int8":
        # Weights are packed for an engine while they are loaded.
        torch.backends.quantized.engine = engine = integer_engine(provider)
        name = f"{ENGINE} {engine}"
    elif provider not in available_providers():
        raise RuntimeUnavailableError(
            f"runtime.providers: {provider!r} is not available in {ENGINE} for "
            f"{contract.precision}; available: {', '.join(available_providers())}"
        )
    torch.set_num_threads(threads)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated; see docs/torchscript.md
            net = torch.jit.load(  # type: ignore[no-untyped-call]
                str(path), map_location="cuda" if provider == "cuda" else "cpu"
            )
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise RuntimeUnavailableError(
            f"{path}: {ENGINE} cannot load it: {first}; it was made for another version: install "
            "torch as the contract's tools say, or export it again"
        ) from error
    _check(path, contract, net, provider)
    return TorchSession(contract, net, provider, name, threads)


def available_providers() -> list[str]:
    """Providers of an FP32 artifact."""
    return ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]


def integer_engine(provider: str) -> str:
    """Torch's engine of integer kernels for a provider; RuntimeUnavailableError if it has none."""
    here = integer_engines()
    if provider == "cpu" and here:
        return here[0]
    if provider in here:
        return provider
    raise RuntimeUnavailableError(
        f"runtime.providers: {provider!r} is not available in {ENGINE} for int8; available: "
        f"{', '.join(['cpu', *here])}"
    )


def integer_engines() -> list[str]:
    """The libraries of integer kernels in this torch, best first; "cpu" means the first."""
    supported = torch.backends.quantized.supported_engines
    return [engine for engine in INTEGER_ENGINES if engine in supported]


def _check(path: Path, contract: Description, net: Any, provider: str) -> None:
    """One image of zeros must give the outputs that the contract has."""
    spec = contract.input.preprocess
    image = torch.zeros(1, 3, spec.height, spec.width)
    with torch.inference_mode():
        found = _as_tuple(net(image.to("cuda" if provider == "cuda" else "cpu")))
    if len(found) != len(contract.outputs):
        raise ContractError(
            f"{path}: it gives {len(found)} outputs, its contract says {len(contract.outputs)}: "
            "export it again"
        )
    for output, expected in zip(found, contract.outputs, strict=True):
        if list(output.shape[1:]) != expected.shape[1:]:
            raise ContractError(
                f"{path}: it gives {list(output.shape[1:])} {expected.meaning} per image, its "
                f"contract says {expected.shape[1:]}: export it again"
            )


def _as_tuple(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """A network's outputs, which is a tensor itself where there is one."""
    return (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
