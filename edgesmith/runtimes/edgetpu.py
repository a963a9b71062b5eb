"""Compiled Edge TPU artifacts through LiteRT's interpreter and the Edge TPU delegate."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesmith.contract import Description
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.runtimes import litert

ENGINE = f"{litert.ENGINE} with libedgetpu"
_LIBRARY = "libedgetpu.so.1"
# Whichever of two packages `litert` found.
_Interpreter: Any = vars(litert)["Interpreter"]
_REMEDY = (
    f"{_LIBRARY} comes with the Debian package libedgetpu1-std (coral.ai/docs/accelerator); then "
    "plug the accelerator in, and see that the user is in the group plugdev"
)


def delegate() -> Any:
    """The Edge TPU as a delegate; RuntimeUnavailableError says what is missing."""
    module = importlib.import_module(_Interpreter.__module__)
    try:
        # First alone: a delegate whose library is missing complains again when it is collected.
        ctypes.CDLL(_LIBRARY)
        return module.load_delegate(_LIBRARY)
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no device"])[0]
        raise RuntimeUnavailableError(f"the Edge TPU does not open: {reason}; {_REMEDY}") from error


def available_providers() -> tuple[str, ...]:
    """What a session may be asked for here; RuntimeUnavailableError without an Edge TPU."""
    delegate()
    return ("edgetpu",)


class EdgeTpuSession(litert.LiteRtSession):
    """A compiled network; operators that were not mapped run on the CPU."""

    providers: tuple[str, ...] = ("edgetpu", "cpu")

    def __init__(self, contract: Description, interpreter: Any, threads: int) -> None:
        """Hold `interpreter`, with the delegate, as `LiteRtSession` does."""
        super().__init__(contract, interpreter, threads)
        self.engine = ENGINE


def load(
    artifact: Path, contract: Description, threads: int, providers: Sequence[str]
) -> EdgeTpuSession:
    """A session of an artifact whose files were verified.

    Raises RuntimeUnavailableError where there is no Edge TPU, it refuses the network, or
    `providers` has no "edgetpu"; ContractError for a network unlike its contract.
    """
    if "edgetpu" not in (name.lower() for name in providers):
        raise RuntimeUnavailableError(
            f"runtime.providers: {', '.join(providers)}: {ENGINE} executes on edgetpu; "
            "leave the provider out, or name edgetpu"
        )
    model = contract.model_file(artifact, ".tflite")
    found = delegate()
    try:
        interpreter = _Interpreter(
            model_path=str(model), num_threads=threads, experimental_delegates=[found]
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RuntimeUnavailableError(
            f"{model}: the Edge TPU cannot load it: {reason}; compile it for this version of "
            "libedgetpu"
        ) from error
    litert._check_tensors(model, contract, interpreter)
    return EdgeTpuSession(contract, interpreter, threads)
