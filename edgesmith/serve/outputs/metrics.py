"""Prometheus metrics of the loop, for `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.registry import Collector

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs import record
from edgesmith.serve.result import Result, State, Status

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0
# Seconds; from a small classifier on a desktop to a large detector on one slow core.
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """Counts as frames come, writes text when somebody asks."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._registry = CollectorRegistry(auto_describe=False)
        self._stages = Histogram(
            "edgesmith_stage_seconds",
            "Time of one frame in a stage of the loop.",
            ["stage"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._seen = Counter(
            "edgesmith_seen",
            "Objects seen, frame by frame; a classifier's answers.",
            ["label"],
            registry=self._registry,
        )
        self._newest = _Newest()
        self._registry.register(self._newest)

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Count one frame."""
        for stage, milliseconds in result.ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)
        for seen in result.objects:
            self._seen.labels(record.name(seen.label, self._labels)).inc()
        self._newest.frame = (time.time(), result, status)

    def close(self) -> None:
        """Nothing is held."""

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class _Newest(Collector):
    """The figures of the newest status, made into metrics at each scrape."""

    frame: tuple[float, Result, Status] | None = None

    def collect(self) -> Iterator[Metric]:
        if self.frame is None:
            return
        finished_s, result, status = self.frame
        yield _gauge("edgesmith_fps", "Frames finished per second, the last 30.", status.fps)
        yield _gauge(
            "edgesmith_last_frame_timestamp_seconds", "When a frame last finished.", finished_s
        )
        if status.temperature_c is not None:
            yield _gauge("edgesmith_temperature_celsius", "The hottest zone.", status.temperature_c)
        for name, text, value in (
            ("edgesmith_frames", "Frames finished.", status.frames),
            ("edgesmith_dropped", "Frames replaced before anyone looked.", status.dropped),
            ("edgesmith_detected", "Frames that the model ran on.", status.detected),
        ):
            yield CounterMetricFamily(name, text, value=value)
        states = GaugeMetricFamily("edgesmith_state", "1 for what the loop does.", labels=["state"])
        for state in get_args(State):
            states.add_metric([state], float(state == status.state))
        yield states
        governed = GaugeMetricFamily(
            "edgesmith_governed", "1 while the governor asks for less.", labels=["step"]
        )
        governed.add_metric([status.step], float(bool(status.step)))
        yield governed
        restarts = CounterMetricFamily(
            "edgesmith_restarts", "Parts of the loop replaced.", labels=["part"]
        )
        for part, count in status.restarts.items():
            restarts.add_metric([part], count)
        yield restarts
        artifact = GaugeMetricFamily("edgesmith_artifact", "What answers.", labels=["artifact"])
        artifact.add_metric([result.artifact], 1.0)
        yield artifact


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
