"""What travels with every artifact: `contract.json`, written at export, checked at each load."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.boxes import Boxes
from edgesmith.errors import ContractError
from edgesmith.preprocess import Preprocess

FILE = "contract.json"

Precision = Literal["fp32", "fp16", "int8", "mixed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantization(_Part):
    """real = scale * (integer - zero_point), of one tensor."""

    scale: float = Field(gt=0)
    zero_point: int


class Input(_Part):
    """The tensor that the network takes and how an image becomes it.

    `shape` holds -1 where the batch is free. `normalised_inside`: mean and std are part of the
    network, which then takes 0–255; otherwise the caller applies them.
    """

    name: str
    layout: Literal["NCHW", "NHWC"]
    dtype: Literal["float32", "float16", "uint8", "int8"]
    shape: list[int]
    preprocess: Preprocess
    normalised_inside: bool = False
    quantization: Quantization | None = None


class Output(_Part):
    """A tensor that the network gives and how it is read.

    A classifier gives `logits` (layout NC). A detector gives per level `boxes`, distances from the
    cell's centre to the left, top, right and bottom edge in cells of `stride` pixels (decode
    `ltrb`), and `scores`, one logit per class (decode `sigmoid`), each a map of cells.
    """

    name: str
    meaning: Literal["logits", "boxes", "scores"]
    dtype: Literal["float32", "float16", "uint8", "int8"]
    layout: Literal["NC", "NCHW", "NHWC"] = "NC"
    shape: list[int]
    decode: Literal["softmax", "ltrb", "sigmoid", "none"]
    stride: int | None = Field(default=None, gt=0)
    quantization: Quantization | None = None


class File(_Part):
    """One file of the artifact."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class Parity(_Part):
    """The artifact, run by its own runtime, against the graph that it was exported from.

    `metric_drop` is None where no labelled images were at hand.
    """

    against: str
    images: int
    max_abs_diff: float
    sqnr_db: float | None
    cosine: float
    agreement: float
    metric_drop: float | None
    tolerance: dict[str, float]


class Description(_Part):
    """All that it takes to run the artifact."""

    version: Literal[1] = 1
    task: Literal["classify", "detect"]
    variant: str
    parent: str
    parent_sha256: str
    model: str
    format: str
    precision: Precision
    target: str
    labels: list[str]
    input: Input
    outputs: list[Output]
    boxes: Boxes | None = None
    files: dict[str, File]
    params: int
    macs: int
    tools: dict[str, str]

    def model_file(self, artifact: Path, suffix: str) -> Path:
        """Path of the artifact's one file that ends with `suffix`; ContractError if not one."""
        names = [name for name in self.files if name.endswith(suffix)]
        if len(names) != 1:
            raise ContractError(
                f"{artifact / FILE}: expected one {suffix} file, found {names}; export it again"
            )
        return artifact / names[0]


class Contract(Description):
    """A description and the proof of it: what `contract.json` holds."""

    parity: Parity


def prove(description: Description, parity: Parity) -> Contract:
    """The contract of an artifact whose parity was measured."""
    return Contract(**description.model_dump(), parity=parity)


def describe_files(artifact: Path) -> dict[str, File]:
    """Hash and size of every file of an artifact folder but the contract, in name order."""
    return {
        path.name: File(sha256=files.sha256(path), size_bytes=path.stat().st_size)
        for path in sorted(artifact.iterdir())
        if path.name != FILE
    }


def write(contract: Contract, artifact: Path) -> None:
    """Write `contract.json` into the artifact folder."""
    files.write_json(artifact / FILE, contract.model_dump(mode="json"))


def read(artifact: Path) -> Contract:
    """Parse an artifact's contract without checking its files; ContractError names the fault."""
    return files.read_record(
        artifact / FILE,
        Contract,
        ContractError,
        missing="an artifact is a folder that `dvc repro` or `dvc pull` made, such as "
        "artifacts/mobilenetv2-qat/onnx",
        damaged="it was written by another version of edgesmith or damaged: "
        "export or pull the artifact again",
    )


def verify(artifact: Path) -> Contract:
    """Parse the contract and check every file's presence, size and SHA-256, and that none is extra.

    Raises ContractError naming the first file that does not match.
    """
    contract = read(artifact)
    present = {path.name for path in artifact.iterdir()} - {FILE}
    for extra in sorted(present - contract.files.keys()):
        raise ContractError(f"{artifact / extra}: not part of the contract; remove it")
    for name, expected in contract.files.items():
        path = artifact / name
        if Path(name).name != name:
            raise ContractError(f"{artifact / FILE}: files.{name}: a name must not hold a path")
        if not path.is_file():
            raise ContractError(f"{path}: missing; pull or export the artifact again")
        if path.stat().st_size != expected.size_bytes or files.sha256(path) != expected.sha256:
            raise ContractError(
                f"{path}: its content does not match {FILE}; it is damaged or was changed by "
                "hand: pull or export the artifact again"
            )
    return contract
