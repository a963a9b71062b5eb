"""Recordings as a Chrome trace: chrome://tracing and ui.perfetto.dev open it.

"Trace Event Format" (Google, 2016): complete events (`ph: X`) in microseconds, metadata (`M`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgesmith.profile.recording import Recording, Run

FILE = "trace.json"
# So that inferences can be told apart; how long the program paused between them was not kept.
_PAUSE_US = 50.0


def trace(recordings: Mapping[str, Recording]) -> dict[str, Any]:
    """The trace: a process per recording by its label, inferences one after another."""
    events: list[dict[str, Any]] = []
    for pid, (label, recording) in enumerate(recordings.items(), 1):
        for kind, name in (("process_name", label), ("thread_name", recording.engine)):
            events.append({"ph": "M", "name": kind, "pid": pid, "tid": 1, "args": {"name": name}})
        position = 0.0
        for number, run in enumerate(recording.runs):
            events += _run(run, recording, position, number, pid)
            position += run.total_us + _PAUSE_US
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            label: {"method": recording.method, "caveats": " / ".join(recording.caveats)}
            for label, recording in recordings.items()
        },
    }


def text(recordings: Mapping[str, Recording]) -> str:
    """The trace as compact JSON."""
    return json.dumps(trace(recordings), separators=(",", ":"), allow_nan=False) + "\n"


def _run(
    run: Run, recording: Recording, position: float, number: int, pid: int
) -> list[dict[str, Any]]:
    where = {"ph": "X", "pid": pid, "tid": 1}
    events: list[dict[str, Any]] = [
        {
            **where,
            "name": f"inference {number + 1}",
            "cat": "inference",
            "ts": round(position, 3),
            "dur": round(run.total_us, 3),
            "args": {name: round(value, 3) for name, value in run.overhead_us.items()},
        }
    ]
    for kernel in run.kernels:
        node = recording.nodes[kernel.node]
        events.append(
            {
                **where,
                "name": node.op,
                "cat": "kernel",
                "ts": round(position + kernel.start_us, 3),
                "dur": round(kernel.duration_us, 3),
                "args": {"name": node.name, "shape": node.shape},
            }
        )
    return events
