"""The table of docs/serve-peers.md."""

from __future__ import annotations

import statistics

from benchmarks.serve.compare import Answer, Results
from edgesmith.device import fingerprint
from edgesmith.report.markdown import table

_HEADERS = (
    "command", "network", "FPS", "÷ theirs beside it", "peak RSS, MB", "PSS, MB",
    "CPU, ms/frame", "boxes/frame", "whole run, s",
)  # fmt: skip


def lines(results: Results) -> list[str]:
    """What it was measured on, and a table for each format."""
    found = [
        f"{results.video}; {results.threads} thread(s); {len(results.answers[0].runs)} runs in "
        f"turns, medians (FPS: lowest to highest). "
        f"{', '.join(f'{name} {version}' for name, version in results.versions.items())}. "
        f"{fingerprint.describe(results.fingerprint)}."
    ]
    for form in dict.fromkeys(answer.form for answer in results.answers):
        group = [answer for answer in results.answers if answer.form == form]
        peer = next(answer for answer in group if answer.command == "yolo predict")
        ours = [answer for answer in group if answer is not peer]
        rows = [_cells(one, _beside(one, place, len(ours), peer)) for place, one in enumerate(ours)]
        found += ["", f"### {form}", "", *table(_HEADERS, [*rows, _cells(peer, None)])]
    return found


def _beside(one: Answer, place: int, count: int, peer: Answer) -> list[float]:
    """FPS of each run by that of theirs right before or after it; theirs ran once for each of ours.

    Runs of another minute had another share of the machine.
    """
    theirs = peer.runs[place::count]
    return [run.fps / other.fps for run, other in zip(one.runs, theirs, strict=True)]


def _cells(one: Answer, ratios: list[float] | None) -> tuple[str, ...]:
    rates = [run.fps for run in one.runs]
    if ratios:
        ratio = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"
    else:
        ratio = ""
    return (
        f"`{one.command}`",
        one.what,
        f"{one.median('fps'):.1f} ({min(rates):.1f}–{max(rates):.1f})",
        ratio,
        f"{one.median('rss_mb'):.0f}",
        f"{one.median('pss_mb'):.0f}",
        f"{one.median('cpu_ms'):.1f}",
        f"{one.median('boxes'):.2f}",
        f"{one.median('seconds'):.1f}",
    )
