"""What a bundle holds and what must come out of it: `hailo.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgesmith import files
from edgesmith.boxes import Boxes
from edgesmith.contract import File, Input, Output
from edgesmith.errors import ContractError

FILE = "hailo.json"


class Proof(BaseModel):
    """Largest differences over the images: of probabilities or scores, and of boxes in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    max_score_diff: float
    max_box_diff_px: float | None


class Bundle(BaseModel):
    """`hailo.json`: what the folder holds and what must come out of it.

    `outputs` are NHWC or NC float32, as the chip's outputs are after dequantization, in the order
    of `end_nodes`. `dfc_from`/`dfc_before` bound the compiler's version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    variant: str
    parent_sha256: str
    model: str
    task: Literal["classify", "detect"]
    network: str
    arch: str
    dfc_from: str
    dfc_before: str
    opset: int
    labels: list[str]
    input: Input
    start_node: str
    end_nodes: list[str]
    outputs: list[Output]
    boxes: Boxes | None
    output_bits: int
    calibration_images: int
    params: int
    macs: int
    proof: Proof
    files: dict[str, File]


def read(folder: Path) -> Bundle:
    """Parse and verify a bundle; ContractError names the first file that does not match."""
    found = files.read_record(
        folder / FILE,
        Bundle,
        ContractError,
        missing="run `dvc repro toolchains/hailo/dvc.yaml:prepare`",
        damaged="prepare it again",
    )
    for name, expected in found.files.items():
        path = folder / name
        if not path.is_file() or files.sha256(path) != expected.sha256:
            raise ContractError(f"{path}: missing or changed; prepare the bundle again")
    return found
