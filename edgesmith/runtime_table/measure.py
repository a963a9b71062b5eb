"""The same network in every runtime: one interleaved run, ratios against the first cell."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgesmith.bench import statistics as stats
from edgesmith.bench.process import Loadable, Settings
from edgesmith.bench.record import ModelLatency, RuntimeCell, RuntimesBench
from edgesmith.bench.turns import Turns, take_turns
from edgesmith.intervals import Bounds


class Subject(NamedTuple):
    """One cell before it is measured: which variant, how exact, and how it runs."""

    variant: str
    precision: str
    mode: str
    network: Loadable


def measure_runtimes(
    subjects: Mapping[str, Subject],
    settings: Settings,
    *,
    device: str,
    fingerprint: str,
    not_built: Mapping[str, str],
) -> RuntimesBench:
    """Latency of every subject and how many times faster it is than the first.

    All take turns, each in a process of its own that stays (PyTorch takes seconds to start), and
    each round gives one ratio per cell. `not_built` says by cell why it has no subject. Raises
    ContractError or RuntimeUnavailableError when one of them cannot be run.
    """
    keys = list(subjects)
    networks = [subject.network for subject in subjects.values()]
    turns = take_turns(networks, settings._replace(fresh=False))
    return RuntimesBench(
        device=device,
        fingerprint=fingerprint,
        reference=keys[0],
        threads=settings.threads,
        rounds=len(turns.samples_ms[0]),
        cells={
            key: _cell(number, subject, turns)
            for number, (key, subject) in enumerate(subjects.items())
        },
        not_built=dict(not_built),
    )


def _cell(number: int, subject: Subject, turns: Turns) -> RuntimeCell:
    samples, loaded = turns.all_ms(number), turns.loaded[number]
    reference, own = turns.samples_ms[0], turns.samples_ms[number]
    speedup, interval = stats.ratio_interval(_ratios(reference, own))
    return RuntimeCell(
        variant=subject.variant,
        precision=subject.precision,
        mode=subject.mode,
        runtime=loaded["engine"],
        providers=" ".join(loaded["providers"]),
        latency_ms=ModelLatency.of(stats.latency(samples)),
        rss_mb=round(turns.rss_mb[number], 1),
        load_ms=round(loaded["load_ms"], 2),
        speedup=round(speedup, 4),
        speedup_ci95=Bounds.of(interval),
        runs=len(samples),
        warmup_runs=turns.warm[number]["runs"],
        steady=turns.warm[number]["steady"],
        noisy=stats.is_noisy(own),
    )


def _ratios(reference: Sequence[list[float]], own: Sequence[list[float]]) -> list[float]:
    return [
        statistics.median(theirs) / statistics.median(ours)
        for theirs, ours in zip(reference, own, strict=True)
    ]
