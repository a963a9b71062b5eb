"""`ladder.json`: every rung that was tried for a variant, and the one that was taken."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgesmith import files
from edgesmith.errors import ModelError

FILE = "ladder.json"


class Rung(BaseModel):
    """One way of quantizing, in the simulated graph on the val split; or why it was left out.

    `accuracy` and `drop` (against FP32) are shares, `sqnr_db` is that of the logits; `layer` is the
    one that this rung left in float.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: float | None = None
    drop: float | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    layer: str | None = None
    left_out: str | None = None


class Ladder(BaseModel):
    """Rungs by name in the order in which they were tried; objects, no lists, for DVC's tables."""

    model_config = ConfigDict(extra="forbid")

    taken: str
    fp32: float
    max_drop: float
    images: int
    rungs: dict[str, Rung]


def write(ladder: Ladder, folder: Path) -> None:
    """Write `ladder.json`; keys without a value are left out."""
    files.write_json(folder / FILE, ladder.model_dump(mode="json", exclude_none=True))


def read(folder: Path) -> Ladder | None:
    """Parse a variant's `ladder.json`; None where it has none, ModelError for a damaged one."""
    if not (folder / FILE).exists():
        return None
    return files.read_record(
        folder / FILE,
        Ladder,
        ModelError,
        missing="rebuild it: `dvc repro`",
        damaged="rebuild it: `dvc repro`",
    )


def explain(rungs: dict[str, Rung]) -> str:
    """The figures of every rung in one line."""
    return "; ".join(
        f"{name} {rung.left_out or f'{rung.accuracy:.4f} (drop {rung.drop:.4f})'}"
        for name, rung in rungs.items()
    )
