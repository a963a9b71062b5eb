"""`build.json`: what the device needs to know to build an engine of an ONNX artifact.

Everything in it is read from the artifact's contract; what depends on the device (workspace, DLA)
has a default here and may be changed there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Description, Precision
from edgesmith.errors import ContractError


class Tensor(BaseModel):
    """A network's own input or output; `shape` has no free dimension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dtype: Literal["float32", "float16", "uint8", "int8"]
    shape: list[int]


class BuildSpec(BaseModel):
    """How an engine is built; the network is strongly typed, so its precisions are in the ONNX."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    variant: str
    precision: Precision
    onnx_file: str
    onnx_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    min_tensorrt: str = "10.3"
    inputs: list[Tensor]
    outputs: list[Tensor]
    workspace_mb: int = Field(default=1024, ge=16)
    dla: bool = False


def make(contract: Description, *, workspace_mb: int = 1024, dla: bool = False) -> BuildSpec:
    """The spec of an ONNX artifact; ContractError for a free batch, which would need a profile.

    `dla` is kept for INT8 and FP16 alone: a DLA has no FP32.
    """
    names = [name for name in contract.files if name.endswith(".onnx")]
    if len(names) != 1:
        raise ContractError(
            f"{contract.variant}: {contract.format} holds no single .onnx file; engines are built "
            "of artifacts/<variant>/onnx-trt"
        )
    source = contract.input
    tensors = [Tensor(name=o.name, dtype=o.dtype, shape=o.shape) for o in contract.outputs]
    if any(size < 1 for size in source.shape):
        raise ContractError(
            f"{contract.variant}: its batch is free; TensorRT builds for one shape: use the "
            "onnx-trt artifact, or set export.batch in params.yaml"
        )
    return BuildSpec(
        variant=contract.variant,
        precision=contract.precision,
        onnx_file=names[0],
        onnx_sha256=contract.files[names[0]].sha256,
        inputs=[Tensor(name=source.name, dtype=source.dtype, shape=source.shape)],
        outputs=tensors,
        workspace_mb=workspace_mb,
        dla=dla and contract.precision != "fp32",
    )


def of_artifact(artifact: Path, *, workspace_mb: int = 1024, dla: bool = False) -> BuildSpec:
    """`make` of an artifact folder whose files match its contract."""
    return make(contracts.verify(artifact), workspace_mb=workspace_mb, dla=dla)


def read(path: Path) -> BuildSpec:
    """Parse a `build.json`; ContractError names the fault."""
    return files.read_record(
        path,
        BuildSpec,
        ContractError,
        missing="`edgesmith lint artifacts/<variant>/onnx-trt --spec build.json` writes it",
        damaged="it was written by another version of edgesmith or damaged: write it again",
    )


def write(spec: BuildSpec, path: Path) -> None:
    """Write `build.json`."""
    files.write_json(path, spec.model_dump(mode="json"))
