"""The benchmark stage's measurement of cells, twice, and how far apart its figures are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edgesmith.bench import record
from edgesmith.bench.measure import Settings, measure_pair
from edgesmith.bench.record import Bench
from edgesmith.bench.statistics import REPEATS_WITHIN
from edgesmith.params import Params

# Folders of devices/host with benchmark stages.
STAGES = ("onnx", "tflite", "ncnn")
HEADERS = ("cell", "p50, ms", "again", "apart", "speed-up", "again", "marks")


class Cell(NamedTuple):
    """An artifact and its baseline."""

    name: str
    artifact: Path
    baseline: Path


class Pair(NamedTuple):
    """Two measurements of one cell."""

    first: Bench
    second: Bench

    @property
    def apart(self) -> float:
        """How far the p50 of the second is from the first's, as a share of the smaller."""
        one, two = self.first.latency_ms.p50, self.second.latency_ms.p50
        return abs(one - two) / min(one, two)

    @property
    def marked(self) -> bool:
        """Whether one of the two says itself that it may not be repeated."""
        return any(bench.noisy or not bench.steady for bench in self)

    @property
    def ratios_agree(self) -> bool:
        """Whether the intervals of the two speed-ups overlap."""
        one, two = self.first.speedup_ci95, self.second.speedup_ci95
        return one.low <= two.high and two.low <= one.high


def cells(params: Params, artifacts: Path, wanted: Sequence[str]) -> list[Cell]:
    """The cells that are built, in the order of params.yaml; `wanted` names some, or all if empty.

    A format without a benchmark of its own (TorchScript) has none here either.
    """
    formats = {"onnx": params.variants, **dict(params.formats)}
    del formats["torchscript"]
    found = []
    for format_name, variants in formats.items():
        for variant in variants:
            folder = artifacts / variant / format_name
            baseline = artifacts / params.variants[variant].baseline / format_name
            name = f"{variant}.{format_name}"
            if (not wanted or name in wanted) and folder.is_dir() and baseline.is_dir():
                found.append(Cell(name, folder, baseline))
    return found


def measure(
    chosen: Sequence[Cell], settings: Settings, tell: Callable[[str], None]
) -> dict[str, Pair]:
    """All of them once, then all of them again."""
    passes: list[dict[str, Bench]] = []
    for _ in range(2):
        passes.append({})
        for cell in chosen:
            bench = measure_pair(
                cell.artifact, cell.baseline, settings, device="host", fingerprint="0" * 12
            )
            passes[-1][cell.name] = bench
            tell(f"{cell.name}: {bench.latency_ms.p50:.3f} ms{' ~' if bench.noisy else ''}")
    return {cell.name: Pair(passes[0][cell.name], passes[1][cell.name]) for cell in chosen}


def repeat_stages(chosen: Sequence[Cell]) -> dict[str, Pair]:
    """The pipeline's own records after its benchmark stages were run over again, twice.

    `dvc repro --force --single-item` on each format of devices/host, all of them and then all of
    them again. The second run's records stay.
    """
    passes: list[dict[str, Bench]] = []
    for _ in range(2):
        for format_name in STAGES:
            command = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item"]
            subprocess.run([*command, f"devices/host/{format_name}/dvc.yaml"], check=True)
        # Not every file that lies there: cells of former parameters were not measured now.
        passes.append(
            {
                cell.name: record.read(Path(f"metrics/bench/host/{cell.name}.json"))
                for cell in chosen
            }
        )
    return {name: Pair(passes[0][name], passes[1][name]) for name in passes[0]}


def rows(pairs: Mapping[str, Pair]) -> list[tuple[str, ...]]:
    """The cells as text."""
    return [
        (
            name,
            f"{pair.first.latency_ms.p50:.3f}",
            f"{pair.second.latency_ms.p50:.3f}",
            f"{100 * pair.apart:.1f} %",
            f"{pair.first.speedup_vs_baseline:.2f}",
            f"{pair.second.speedup_vs_baseline:.2f}",
            " ".join(
                mark
                for mark, is_so in (
                    ("~", pair.first.noisy),
                    ("~", pair.second.noisy),
                    ("unsteady", not (pair.first.steady and pair.second.steady)),
                )
                if is_so
            ),
        )
        for name, pair in pairs.items()
    ]


def summary(pairs: Mapping[str, Pair]) -> list[str]:
    """Markdown bullets: how often the marks were right."""
    calm = [pair for pair in pairs.values() if not pair.marked]
    noisy = [pair for pair in pairs.values() if pair.marked]
    agree = sum(pair.ratios_agree for pair in pairs.values())
    return [
        f"- Neither measurement marked: {len(calm)} of {len(pairs)} cells, {_within(calm)}.",
        f"- One or both marked: {len(noisy)}, {_within(noisy)}.",
        f"- Intervals of the two speed-ups overlap: {agree} of {len(pairs)}.",
    ]


def _within(pairs: Sequence[Pair]) -> str:
    count = sum(pair.apart <= REPEATS_WITHIN for pair in pairs)
    return f"{count} of them within {100 * REPEATS_WITHIN:.0f} %"
