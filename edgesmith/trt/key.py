"""What an engine is bound to: `engine.json` beside it says where it was built and of what."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.errors import ContractError

FILE = "engine.json"


class Machine(BaseModel):
    """The GPU and the TensorRT of one machine, as far as an engine is bound to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu: str
    sm: int
    tensorrt: str

    def __str__(self) -> str:
        return f"{self.gpu}, SM {self.sm}, TensorRT {self.tensorrt}"


class EngineKey(BaseModel):
    """`engine.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    machine: Machine
    onnx_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    dla: bool = False


def read(artifact: Path) -> EngineKey:
    """The key of an engine artifact; ContractError where there is none."""
    return files.read_record(
        artifact / FILE,
        EngineKey,
        ContractError,
        missing="an engine without it is of unknown origin: build it here, "
        "`python -m stages.build_engine <variant>`",
        damaged="build the engine here again",
    )


def require_same(key: EngineKey, here: Machine, artifact: Path) -> None:
    """Refuse an engine of another GPU, generation or TensorRT; ContractError says which differs.

    TensorRT itself refuses only some of them, and by a message about magic tags; an engine of
    another GPU of the same generation it loads, with tactics that were timed elsewhere.
    """
    built = key.machine
    differing = [
        f"{name} {there} there, {own} here"
        for name, there, own in (
            ("GPU", built.gpu, here.gpu),
            ("SM", built.sm, here.sm),
            ("TensorRT", built.tensorrt, here.tensorrt),
        )
        if there != own
    ]
    if differing:
        raise ContractError(
            f"{artifact}: built on another machine: {'; '.join(differing)}; engines do not move: "
            f"build it here of its ONNX (sha256 {key.onnx_sha256[:12]}…): "
            "`python -m stages.build_engine <variant>`"
        )
