"""Latency and efficiency over threads as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from edgesmith.bench.record import Bench

mpl.use("Agg")
from matplotlib import pyplot as plt


def write(benches: Sequence[Bench], path: Path) -> None:
    """Draw p50 with its interval, and images per second, over the count of threads."""
    threads = [bench.threads for bench in benches]
    p50 = [bench.latency_ms.p50 for bench in benches]
    low = [max(0.0, b.latency_ms.p50 - b.latency_ms_ci95.low) for b in benches]
    high = [max(0.0, b.latency_ms_ci95.high - b.latency_ms.p50) for b in benches]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.errorbar(threads, p50, yerr=[low, high], marker="o", capsize=3)
    left.set(xlabel="threads", ylabel="p50, ms", ylim=(0, None), xticks=threads)
    right.plot(threads, [bench.fps for bench in benches], marker="o", label="measured")
    ideal = [benches[0].fps * count / threads[0] for count in threads]
    right.plot(threads, ideal, linestyle=":", label="if every thread counted in full")
    right.set(xlabel="threads", ylabel="images/s", ylim=(0, None), xticks=threads)
    right.legend()
    figure.suptitle(f"{benches[0].variant}.{benches[0].format}, {benches[0].runtime}")
    figure.savefig(path, dpi=120)
    plt.close(figure)
