"""One quantization in every format: how near the artifacts of a variant are to one another.

And what each export took. Tables of `metrics/comparison.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edgesmith.device.fingerprint import Device
from edgesmith.report import cost
from edgesmith.report.cells import Cell
from edgesmith.report.cost import Cost
from edgesmith.report.markdown import table

_ABSENT = "—"


def across(cells: Sequence[Cell]) -> list[str]:
    """Markdown: one row per variant that has more than one format; nothing when none has."""
    grouped: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        grouped.setdefault(cell.variant, {})[cell.format] = cell
    shared = {name: found for name, found in grouped.items() if len(found) > 1}
    if not shared:
        return []
    formats = _in_order(found for members in shared.values() for found in members)
    rows = [_row(name, members, formats) for name, members in shared.items()]
    headers = ("variant", "precision", "torch graph", *formats, "spread", "agreement", "size ×")
    return [
        "Top-1 in % of the whole test split. The torch graph is the network that every format was "
        "exported from, for INT8 with its rounding simulated; spread is the distance of the "
        "farthest two of that row, in points; agreement the share of images with the torch graph's "
        "answer, and size × how many times smaller than the baseline in the same format, both from "
        "left to right.",
        "",
        *table(headers, rows),
    ]


def exports(costs: Sequence[Cost], device: Device) -> list[str]:
    """Markdown: seconds and memory of each export on this machine; nothing when there is none."""
    here = [found for found in costs if found.fingerprint == device.fingerprint_id]
    if not here:
        return []
    formats = _in_order(found.format for found in here)
    grouped: dict[str, dict[str, Cost]] = {}
    for found in here:
        grouped.setdefault(found.variant, {})[found.format] = found
    rows = [
        (
            name,
            *(
                f"{members[kind].seconds:.0f} s, {members[kind].peak_rss_mb:.0f} MB"
                if kind in members
                else _ABSENT
                for kind in formats
            ),
        )
        for name, members in grouped.items()
    ]
    return [
        "Each in a process of its own until the artifact had passed the gate, torch's import "
        "left out, while others ran beside it; memory is the peak of its largest "
        "process.",
        "",
        *table(("variant", *formats), rows),
    ]


def read_costs(cells: Sequence[Cell], metrics: Path) -> list[Cost]:
    """What the exports of `cells` took, in their order; ContractError for a damaged file."""
    paths = [metrics / "export" / f"{cell.name}.json" for cell in cells]
    return [cost.read(path) for path in paths if path.is_file()]


def _row(name: str, members: dict[str, Cell], formats: Sequence[str]) -> tuple[str, ...]:
    graph = next(iter(members.values())).accuracy.value_of_self
    values = [cell.accuracy.value for cell in members.values()]
    values += [] if graph is None else [graph]
    present = [members[kind] for kind in formats if kind in members]
    agreements = [cell.accuracy.agreement_vs_self for cell in present]
    return (
        name,
        " / ".join(dict.fromkeys(cell.accuracy.precision for cell in present)),
        _ABSENT if graph is None else _percent(graph),
        *(
            _percent(members[kind].accuracy.value) if kind in members else _ABSENT
            for kind in formats
        ),
        f"{100 * (max(values) - min(values)):.2f}",
        " / ".join(_ABSENT if share is None else f"{share:.4f}" for share in agreements),
        " / ".join(_ABSENT if cell.size_x is None else f"{cell.size_x:.2f}" for cell in present),
    )


def _in_order(names: Iterable[str]) -> list[str]:
    """Each format once: ONNX, which has every variant, first, and the others by name."""
    return sorted(set(names), key=lambda name: (name != "onnx", name))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
