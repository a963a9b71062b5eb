"""`metrics/export/<variant>.<format>.json`: what an export took, in a process of its own."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat

from edgesmith import files
from edgesmith.bench.memory import peak_rss_mb
from edgesmith.device import fingerprint
from edgesmith.errors import ContractError


class Cost(BaseModel):
    """Seconds without those of importing libraries, parity gate included, and peak memory.

    `peak_rss_mb` is that of the largest process, the exporting one or a converter that it ran.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    fingerprint: str
    variant: str
    format: str
    seconds: PositiveFloat
    peak_rss_mb: PositiveFloat


def write(variant: str, format_name: str, seconds: float) -> None:
    """Write that this process took `seconds`, and how much memory until now."""
    # A child begins with its parent's pages, so that its peak is never below ours at the time.
    converters = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    cost = Cost(
        fingerprint=fingerprint.fingerprint_id(fingerprint.fingerprint()),
        variant=variant,
        format=format_name,
        seconds=round(seconds, 2),
        peak_rss_mb=round(max(peak_rss_mb(), converters), 1),
    )
    files.write_json(
        Path(f"metrics/export/{variant}.{format_name}.json"), cost.model_dump(mode="json")
    )


def read(path: Path) -> Cost:
    """Parse a cost file; ContractError names the key that does not fit."""
    remedy = "not an export's cost of this version of edgesmith: run `dvc repro`"
    return files.read_record(path, Cost, ContractError, missing=remedy, damaged=remedy)
