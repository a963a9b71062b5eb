"""`python -m benchmarks.readme`: README's tables, out of the files in metrics/."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import replace_section
from edgesmith.errors import EdgesmithError, ParamsError
from edgesmith.report.markdown import table

PAGE = Path("README.md")
COMPARISON = Path("metrics/comparison.md")
ACTIVE = Path("metrics/active.json")
CLASSIFIERS = ("mobilenetv2-baseline", "efficientnet-lite0-baseline")
DETECTORS = ("yolo26n-baseline", "yolo26s-baseline")
FORMATS = "One quantization in every format"
# What `dvc metrics diff` shows in README between the active variant and this one.
OTHER = "mobilenetv2-pruned-qat"
_STRATEGY = ("variant", "precision", "", "Δ, points", "size ×", "MACs ×", "p50, ms", "speed-up ×")
_DIFF = ("accuracy", "latency_ms_p50", "macs", "params", "size_bytes", "speedup")


def main() -> None:
    """Write every table; nothing is measured."""
    try:
        for name, lines in sections(Path()).items():
            replace_section(PAGE, name, lines)
    except EdgesmithError as error:
        sys.exit(f"Error: {error}")


def sections(root: Path) -> dict[str, list[str]]:
    """The lines of each table by the section's name, from the metrics of the checkout `root`."""
    page = (root / COMPARISON).read_text()
    return {
        "strategies": _strategies(page, CLASSIFIERS),
        "detect": _strategies(page, DETECTORS),
        "formats": _formats(page),
        "diff": _difference(root),
    }


def _strategies(page: str, baselines: Sequence[str]) -> list[str]:
    """ONNX cells of the chapters named by these baselines."""
    found: list[tuple[str, ...]] = []
    metric = ""
    for baseline in baselines:
        headers, *rows = _table(page, baseline)
        metric = headers[3]
        for row in (dict(zip(headers, cells, strict=True)) for cells in rows):
            if row["format"] != "onnx":
                continue
            p50, _, p90 = row["p50 / p90, ms"].partition(" / ")
            taken = [row.get(column, "") for column in _STRATEGY]
            taken[2] = row[metric]
            taken[6] = f"{p50} ~" if p90.endswith("~") else p50
            found.append(tuple(taken))
    return table([*_STRATEGY[:2], metric, *_STRATEGY[3:]], found)


def _formats(page: str) -> list[str]:
    headers, *rows = _table(page, FORMATS)
    width = headers.index("spread") + 1
    return table(headers[:width], [tuple(row[:width]) for row in rows])


def _difference(root: Path) -> list[str]:
    """An excerpt of `dvc metrics diff` between the active cell and `OTHER` in its place."""
    active = _read(root / ACTIVE)
    cell = f"{OTHER}.{active['format']}.json"
    accuracy, bench = (
        _read(root / "metrics/accuracy" / cell),
        _read(root / "metrics/bench/host" / cell),
    )
    other = accuracy | {
        "accuracy": accuracy["value"],
        "latency_ms_p50": bench["latency_ms"]["p50"],
        "speedup": bench["speedup_vs_baseline"],
    }
    rows = [
        (key, f"{active[key]}", f"{other[key]}", f"{round(other[key] - active[key], 4)}")
        for key in _DIFF
    ]
    rows.append(("variant", active["variant"], OTHER, "-"))
    return table(("metric", "main", OTHER.removeprefix("mobilenetv2-"), "change"), rows)


def _table(page: str, chapter: str) -> list[list[str]]:
    """Header and rows of the first table of a chapter; ParamsError where there is none."""
    _, there, rest = page.partition(f"\n## {chapter}\n")
    lines = rest.partition("\n## ")[0].splitlines()
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if line.startswith("|") and "---" not in line
    ]
    if not there or not rows:
        raise ParamsError(f"{COMPARISON}: has no table under `## {chapter}`; run `dvc repro`")
    return [row for row in rows if len(row) == len(rows[0])]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ParamsError(f"{path} is missing: run `dvc repro`")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    main()
