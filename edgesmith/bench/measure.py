"""Latency of an artifact, alone or in one interleaved run with what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith import contract as contracts
from edgesmith.bench import early_stopping
from edgesmith.bench import statistics as stats
from edgesmith.bench.process import Loadable, Process, Settings
from edgesmith.bench.record import Bench, BoundedLatency, EndToEndLatency, ModelLatency
from edgesmith.bench.turns import Turns, take_turns
from edgesmith.contract import Contract
from edgesmith.device.sensors.find import Sensors, find
from edgesmith.device.sensors.recorder import Recorder
from edgesmith.intervals import Bounds

__all__ = [
    "Loadable",
    "Process",
    "Settings",
    "Turns",
    "measure_networks",
    "measure_pair",
    "take_turns",
]


def measure_pair(
    artifact: Path,
    baseline: Path,
    settings: Settings,
    *,
    device: str,
    fingerprint: str,
    frame: bytes | None = None,
    sensors: Sensors | None = None,
) -> Bench:
    """Latency of `artifact` and its speed-up over `baseline`, from one interleaved run.

    An artifact that is its own baseline is measured once, with a ratio of 1. `frame` is an encoded
    image for the end-to-end figure (default: `camera_frame()`). What `sensors` (default: those of
    this machine) say meanwhile is recorded. Raises ContractError or RuntimeUnavailableError when
    one of the two cannot be run.
    """
    alone = artifact.resolve() == baseline.resolve()
    networks = [Loadable(path) for path in ([artifact] if alone else [artifact, baseline])]
    contracts_ = [contracts.read(network.folder) for network in networks]
    with Recorder(find() if sensors is None else sensors) as recorder:
        turns = take_turns(networks, settings, frame, recorder, judged=1)
    return _bench(networks, contracts_, turns, 0, len(networks) - 1, settings, device, fingerprint)


def measure_networks(
    networks: Sequence[Loadable],
    baseline: int,
    settings: Settings,
    *,
    device: str,
    fingerprint: str,
    frame: bytes | None = None,
    sensors: Sensors | None = None,
) -> list[Bench]:
    """Every artifact, as `measure_pair`, and its ratio to the one at index `baseline`; one run."""
    read = [contracts.read(network.folder) for network in networks]
    with Recorder(find() if sensors is None else sensors) as recorder:
        turns = take_turns(networks, settings, frame, recorder, of_all=True)
    return [
        _bench(networks, read, turns, number, baseline, settings, device, fingerprint)
        for number in range(len(networks))
    ]


def _bench(
    networks: Sequence[Loadable],
    read: Sequence[Contract],
    turns: Turns,
    number: int,
    baseline: int,
    settings: Settings,
    device: str,
    fingerprint: str,
) -> Bench:
    """The record of one network of a run."""
    contract, network, loaded = read[number], networks[number], turns.loaded[number]
    samples, end_to_end = turns.all_ms(number), turns.all_end_to_end_ms(number)
    latency, whole = stats.latency(samples), stats.latency(end_to_end)
    speedup, interval = turns.speedup(number, baseline)
    bound = BoundedLatency.of(samples)
    return Bench(
        device=device,
        fingerprint=fingerprint,
        variant=contract.variant,
        format=contract.format,
        precision=contract.precision,
        runtime=loaded["engine"],
        providers=" ".join(loaded["providers"]),
        threads=network.threads or settings.threads,
        latency_ms=ModelLatency.of(latency),
        latency_ms_ci95=Bounds.of(stats.rounds_median_interval(turns.samples_ms[number])),
        end_to_end_ms=EndToEndLatency.of(whole),
        fps=round(1000 * network.batch / latency.mean, 2),
        rss_mb=round(turns.rss_mb[number], 1),
        load_ms=round(loaded["load_ms"], 2),
        first_ms=round(loaded["first_ms"], 3),
        baseline=read[baseline].variant,
        speedup_vs_baseline=round(speedup, 4),
        speedup_ci95=Bounds.of(interval),
        runs=len(samples),
        warmup_runs=turns.warm[number]["runs"],
        rounds=len(turns.samples_ms[number]),
        steady=all(answer["steady"] for answer in turns.warm),
        noisy=stats.is_noisy(turns.samples_ms[number]),
        batch=network.batch,
        stated="p99" if bound.p99 else "p90" if bound.p90 else "p50",
        latency_ms_bound=bound,
        end_to_end_fps=round(1000 / whole.mean, 2),
        end_to_end_runs=len(end_to_end),
        **_conditions(turns, number, len(samples), settings),
    )


def _conditions(turns: Turns, number: int, runs: int, settings: Settings) -> dict[str, Any]:
    """What the sensors said, which rounds throttled, and why a field is absent."""
    absent = {
        f"latency_ms_bound.{name}": _too_few(name, runs, settings)
        for name in early_stopping.SHARE
        if runs < early_stopping.fewest_runs(name)
    }
    found: dict[str, Any] = {}
    throttling = turns.throttling
    if turns.conditions:
        found = dict(turns.conditions[number])
        del found["seconds"]
        absent |= found["absent"]
        if found["throttled"] is not None:
            found["throttled"] = throttling.rounds > throttling.retried
    replaced = [ms for part in throttling.replaced_ms[number : number + 1] for ms in part]
    if replaced:
        found["throttled_ms_p50"] = round(stats.latency(np.concatenate(replaced)).p50, 4)
    found |= {"throttled_rounds": throttling.rounds, "retried": throttling.retried}
    return {**found, "absent": absent}


def _too_few(name: early_stopping.Percentile, runs: int, settings: Settings) -> str:
    needed = early_stopping.fewest_runs(name)
    asked = early_stopping.SHARE[settings.percentile] >= early_stopping.SHARE[name]
    why = (
        f"the rounds ended after {settings.max_seconds:g} s (bench.max_seconds)"
        if asked
        else f"set bench.percentile to {name}"
    )
    return f"{runs} runs of {needed}: {why}"
