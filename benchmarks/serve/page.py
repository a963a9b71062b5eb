"""The table of docs/serve-peers.md."""

from __future__ import annotations

from benchmarks.serve.compare import Answer, Results
from edgesmith.device import fingerprint
from edgesmith.report.markdown import table

_HEADERS = (
    "command", "network", "FPS", "÷ theirs", "peak RSS, MB", "÷ theirs", "PSS, MB",
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
        found += ["", f"### {form}", "", *table(_HEADERS, [_cells(one, peer) for one in group])]
    return found


def _cells(one: Answer, peer: Answer) -> tuple[str, ...]:
    rates = [run.fps for run in one.runs]
    ratios = (
        ("", "")
        if one is peer
        else (
            f"**{one.median('fps') / peer.median('fps'):.2f}**",
            f"**1/{peer.median('rss_mb') / one.median('rss_mb'):.1f}**",
        )
    )
    return (
        f"`{one.command}`",
        one.what,
        f"{one.median('fps'):.1f} ({min(rates):.1f}–{max(rates):.1f})",
        ratios[0],
        f"{one.median('rss_mb'):.0f}",
        ratios[1],
        f"{one.median('pss_mb'):.0f}",
        f"{one.median('cpu_ms'):.1f}",
        f"{one.median('boxes'):.2f}",
        f"{one.median('seconds'):.1f}",
    )
