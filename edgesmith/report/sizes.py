"""One network at several input sizes: what its accuracy and its latency are at each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgesmith.params import Params, ResizeVariant
from edgesmith.report.cells import Cell
from edgesmith.report.markdown import table

HEADERS = (
    *("network", "format", "precision", "size", "mAP50-95, %"),
    *("p50, ms", "end-to-end p50, ms", "fps"),
)
_ABSENT = "—"


@dataclass(frozen=True)
class Point:
    """A cell, and the (height, width) in pixels of its input."""

    size: tuple[int, int]
    cell: Cell

    @property
    def name(self) -> str:
        """The size as people say it."""
        height, width = self.size
        return f"{width}" if width == height else f"{width}×{height}"


@dataclass(frozen=True)
class Line:
    """The same weights and ranges in one format, from the smallest input to the largest.

    `network` is the variant that the others are resized from.
    """

    network: str
    format: str
    precision: str
    points: tuple[Point, ...]


def find(cells: Sequence[Cell], params: Params) -> dict[str, list[Line]]:
    """The lines of every baseline that has resized variants, by its name; empty where none has."""
    grouped: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        key = (cell.baseline, _origin(params, cell.variant), cell.format)
        grouped.setdefault(key, []).append(cell)
    found: dict[str, list[Line]] = {}
    # Formats of a baseline in one order, ONNX, which has every variant, first.
    for (baseline, network, kind), members in sorted(
        grouped.items(), key=lambda entry: (entry[0][2] != "onnx", entry[0][2])
    ):
        if all(cell.variant == network for cell in members):
            continue
        points = (Point(params.input_size(cell.variant), cell) for cell in members)
        line = Line(
            network=network,
            format=kind,
            precision=members[0].accuracy.precision,
            points=tuple(sorted(points, key=lambda point: point.size)),
        )
        found.setdefault(baseline, []).append(line)
    return found


def table_rows(lines: Iterable[Line]) -> list[tuple[str, ...]]:
    """Every point as text, one tuple in the order of HEADERS each."""
    return [_row(line, point) for line in lines for point in line.points]


def markdown(found: Mapping[str, Sequence[Line]], params: Params) -> str:
    """A section of the comparison: a table per baseline; nothing where no variant is resized."""
    if not found:
        return ""
    lines = ["", "## Input sizes", ""]
    lines += [
        "A network keeps its weights and its ranges at every size and was trained at its own alone "
        "([what that means](../docs/sizes.md)); `metrics/sizes.png` draws the table. The latency "
        "of a row is from a run in turns with the baseline at the baseline's own size, so that "
        "rows of different sizes also differ by what the machine did in between; end-to-end is "
        "from an encoded camera image to boxes.",
    ]
    for baseline, members in found.items():
        images = max(point.cell.accuracy.images for line in members for point in line.points)
        dataset = params.variants[baseline].dataset
        lines += ["", f"### {baseline}", "", f"`{dataset}`, {images} test images.", ""]
        lines += table(HEADERS, table_rows(members))
    return "\n".join(lines) + "\n"


def _origin(params: Params, variant: str) -> str:
    """The variant whose weights and ranges it has."""
    while isinstance(found := params.variants.get(variant), ResizeVariant):
        variant = found.parent
    return variant


def _row(line: Line, point: Point) -> tuple[str, ...]:
    own, bench = point.cell.accuracy, point.cell.bench
    value, bounds = 100 * own.value, own.value_ci95
    return (
        *(line.network, line.format, line.precision, point.name),
        f"{value:.1f} [{100 * bounds.low:.1f}, {100 * bounds.high:.1f}]",
        f"{bench.latency_ms.p50:.2f}{' ~' if bench.noisy else ''}" if bench else _ABSENT,
        f"{bench.end_to_end_ms.p50:.2f}" if bench else _ABSENT,
        f"{bench.fps:.0f}" if bench else _ABSENT,
    )
