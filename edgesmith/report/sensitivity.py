"""`metrics/sensitivity/<variant>.json`: what 8 bits cost each layer, and the ladder's rungs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from edgesmith import files
from edgesmith.errors import ContractError

FOLDER = Path("metrics/sensitivity")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(_Record):
    """The logits against FP32's: signal-to-noise ratio, share of images with the same top-1."""

    sqnr_db: float
    agreement: float = Field(ge=0, le=1)


class Rung(_Record):
    """A way of quantizing that was tried, on the val split, or why it was left out."""

    accuracy: float | None = None
    drop: float | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    layer: str | None = None
    left_out: str | None = None


class Ladder(_Record):
    """The rung taken and all that were tried, in their order; shares of the val split's images."""

    taken: str
    fp32: float
    max_drop: float
    images: int
    rungs: dict[str, Rung]


class Sensitivity(_Record):
    """Layers by name, worst first; objects and no lists, so that DVC shows them as a table."""

    version: int = 1
    variant: str
    images: int
    layers: dict[str, Level]
    float_layers: dict[str, str] = Field(default_factory=dict)
    ladder: Ladder | None = None


def write(record: Sensitivity) -> None:
    """Write the metric file; keys without a value are left out."""
    content = record.model_dump(mode="json", exclude_none=True)
    files.write_json(FOLDER / f"{record.variant}.json", content)


def read_all(variants: Sequence[str], folder: Path = FOLDER) -> list[Sensitivity]:
    """The records of `variants` that are there; ContractError names a damaged one."""
    remedy = "no sensitivity of this version of edgesmith: remove it and run `dvc repro`"
    return [
        files.read_record(path, Sensitivity, ContractError, missing=remedy, damaged=remedy)
        for path in (folder / f"{name}.json" for name in variants)
        if path.exists()
    ]


def markdown(records: Sequence[Sensitivity]) -> str:
    """A section of the comparison: each variant's worst layer, and the ladder's rung."""
    if not records:
        return ""
    lines = [
        "",
        "## What 8 bits cost layer by layer",
        "",
        "Each layer rounded alone, the rest in float, on calibration images; the ladder's rung on "
        "val images ([how to read it](../docs/ladder.md)).",
        "",
        "| variant | most sensitive layer | SQNR of the logits | rung taken | drop, points |",
        "|---|---|---|---|---|",
    ]
    for record in records:
        layer, level = next(iter(record.layers.items()), ("none is integer", None))
        worst = f"{layer} | {level.sqnr_db:.1f} dB" if level else f"{layer} | "
        rung = f"{record.ladder.taken} | {_drop(record.ladder)}" if record.ladder else " | "
        lines.append(f"| {record.variant} | {worst} | {rung} |")
    return "\n".join(lines) + "\n"


def _drop(ladder: Ladder) -> str:
    drop = ladder.rungs[ladder.taken].drop
    return "" if drop is None else f"{100 * drop:.2f}"
