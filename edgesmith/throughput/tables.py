"""Several measurements of one run as rows of text."""

from __future__ import annotations

from collections.abc import Sequence

from edgesmith.bench.record import Bench

COMPARED = ("artifact", "p50, ms", "p90, ms", "end to end, ms", "images/s", "ratio", "marks")
SWEPT = ("threads", "p50, ms", "images/s", "times", "efficiency", "marks")


def compared(benches: Sequence[Bench]) -> list[tuple[str, ...]]:
    """Artifacts beside each other; the ratio says how many times faster than the baseline."""
    return [
        (
            f"{bench.variant}.{bench.format}" + (f" ×{bench.batch}" if bench.batch > 1 else ""),
            f"{bench.latency_ms.p50:.3f}",
            f"{bench.latency_ms.p90:.3f}",
            f"{bench.end_to_end_ms.p50:.3f}",
            f"{bench.fps:.1f}",
            _ratio(bench),
            marks(bench),
        )
        for bench in benches
    ]


def swept(benches: Sequence[Bench]) -> list[tuple[str, ...]]:
    """One artifact with several counts of threads; the first is what the others are held to."""
    first = benches[0].threads
    return [
        (
            str(bench.threads),
            f"{bench.latency_ms.p50:.3f}",
            f"{bench.fps:.1f}",
            _ratio(bench),
            f"{100 * bench.speedup_vs_baseline * first / bench.threads:.0f} %",
            marks(bench),
        )
        for bench in benches
    ]


def marks(bench: Bench) -> str:
    """Every doubt that the record itself has."""
    doubts = {
        "noisy": bench.noisy,
        "unsteady": not bench.steady,
        "throttled": bool(bench.throttled),
    }
    return ", ".join(doubt for doubt, is_so in doubts.items() if is_so)


def _ratio(bench: Bench) -> str:
    interval = bench.speedup_ci95
    return f"{bench.speedup_vs_baseline:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
