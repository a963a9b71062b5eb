"""One artifact, run without pause in a process of its own, while sensors watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.bench.frame import camera_frame
from edgesmith.bench.measure import Loadable, Process, Settings
from edgesmith.device import fingerprint
from edgesmith.device.sensors.find import Sensors
from edgesmith.device.sensors.recorder import Recorder
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.soak import rows, summary

COMPLETE = "complete"
INTERRUPTED = "interrupted"


class Plan(NamedTuple):
    """How long and how; `interval_s` is the length of a row."""

    minutes: float = 10.0
    interval_s: float = 2.0
    threads: int = 1
    providers: tuple[str, ...] = ("cpu",)


def soak(
    artifact: Path,
    plan: Plan,
    sensors: Sensors,
    out: Path,
    on_row: Callable[[rows.Row], None] = lambda row: None,
) -> summary.Summary:
    """Run the artifact and write `soak.jsonl` as it runs, then `summary.json`, into `out`.

    Ctrl-C ends the run early, with a summary. Raises DataError where `out` is not empty, and
    RuntimeUnavailableError where the artifact cannot be run or its process died; the rows until
    then, and their summary, stay.
    """
    contract = contracts.read(artifact)
    rows.refuse_used(out)
    settings = Settings(threads=plan.threads, providers=plan.providers)
    kept: list[rows.Row] = []
    ended, fault = COMPLETE, None
    # Rows reach as far back as one interval; a margin for slow inferences.
    recorder = Recorder(sensors, _looks(plan), keep_seconds=10 * plan.interval_s + 60)
    with Process(Loadable(artifact), settings, camera_frame()) as process, recorder:
        head = _head(contract, process.loaded, plan, sensors)
        with rows.Writer(out, head) as writer:
            try:
                for row in _intervals(process, recorder, plan):
                    writer.add(row)
                    kept.append(row)
                    on_row(row)
            except KeyboardInterrupt:
                ended = INTERRUPTED
            except RuntimeUnavailableError as error:
                ended, fault = str(error), error
    found = close(out, rows.Recording(head, kept), ended) if kept else None
    if fault is not None:
        raise fault
    if found is None:
        raise KeyboardInterrupt
    return found


def close(out: Path, recording: rows.Recording, ended: str) -> summary.Summary:
    """Write the summary of a run that is over."""
    found = summary.summarise(recording, ended)
    files.write_json(out / summary.NAME, found.model_dump(mode="json", exclude_none=True))
    return found


def _looks(plan: Plan) -> float:
    """How often sensors are read: some times in a row, and seldom enough to cost nothing."""
    return min(0.5, plan.interval_s / 4)


def _intervals(process: Process, recorder: Recorder, plan: Plan) -> Iterator[rows.Row]:
    worker = psutil.Process(process.loaded["pid"])
    begin = time.monotonic()
    end = begin + 60 * plan.minutes
    since = begin
    # A last row shorter than half an interval would say little, and count as much as the others.
    while since < end - plan.interval_s / 2 or since == begin:
        answer = process.ask(
            do="sample",
            what="infer",
            min_runs=1,
            min_seconds=plan.interval_s,
            settle_seconds=0.0,
        )
        until = time.monotonic()
        samples = np.asarray(answer["samples_ms"], np.float64)
        told = recorder.conditions(since, until)
        p50, p99 = np.percentile(samples, [50, 99])
        yield rows.Row(
            elapsed_s=round(until - begin, 3),
            seconds=round(until - since, 4),
            inferences=len(samples),
            fps=round(len(samples) / (until - since), 3),
            p50_ms=round(float(p50), 4),
            p99_ms=round(float(p99), 4),
            temperature_c=told.temperature_c.mean if told.temperature_c else None,
            clock_mhz=told.clock_mhz.mean if told.clock_mhz else None,
            throttled=told.throttled,
            throttle_reasons=tuple(told.throttle_reasons),
            power_w=told.power_w,
            rss_mb=round(worker.memory_info().rss / 1e6, 2),
        )
        since = until


def _head(
    contract: contracts.Contract, loaded: dict[str, Any], plan: Plan, sensors: Sensors
) -> rows.Head:
    device = fingerprint.probe("here")
    return rows.Head(
        started=round(time.time(), 3),
        variant=contract.variant,
        format=contract.format,
        precision=contract.precision,
        runtime=loaded["engine"],
        providers=" ".join(loaded["providers"]),
        threads=plan.threads,
        interval_s=plan.interval_s,
        machine=fingerprint.describe(device.fingerprint),
        fingerprint=device.fingerprint_id,
        governor=sensors.governor,
        sensors=sensors.describe(),
        absent=sensors.absent,
    )
