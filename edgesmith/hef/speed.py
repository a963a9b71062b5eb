"""Speed of a HEF by pyHailoRT: latency of single frames, and frames per second of many at once."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgesmith.bench import statistics
from edgesmith.hef.network import Network


class Speed(BaseModel):
    """Of one network. Latency is that of a frame from host memory to host memory, one at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    hailort: str
    latency_ms_p50: float
    latency_ms_p90: float
    latency_ms_p99: float
    latency_ms_mean: float
    runs: int
    fps: float


def measure(hef: Path, seconds: int = 15) -> Speed:
    """`seconds` of each; errors as of `Network`."""
    network = Network(hef)
    try:
        samples = network.latency_ms(seconds)
        fps = network.throughput_fps(seconds)
    finally:
        network.close()
    found = statistics.latency(samples)
    return Speed(
        network=network.hef.network_groups[0].name,
        hailort=network.hailort,
        latency_ms_p50=round(found.p50, 4),
        latency_ms_p90=round(found.p90, 4),
        latency_ms_p99=round(found.p99, 4),
        latency_ms_mean=round(found.mean, 4),
        runs=len(samples),
        fps=round(fps, 2),
    )
