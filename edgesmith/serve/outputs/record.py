"""Results and the loop's status as plain values, as JSON lines, page and scripts read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgesmith.serve.result import Result, Seen, Status


def name(label: int, labels: Sequence[str]) -> str:
    """The label's name, or its number where the artifact names fewer."""
    return labels[label] if 0 <= label < len(labels) else str(label)


def of_seen(seen: Seen, labels: Sequence[str]) -> dict[str, Any]:
    """`label`, `score`, and where there are any `box` (pixels: x1, y1, x2, y2) and `track`."""
    entry: dict[str, Any] = {"label": name(seen.label, labels), "score": round(seen.score, 4)}
    if seen.box is not None:
        entry["box"] = [round(float(edge), 1) for edge in seen.box]
    if seen.track is not None:
        entry["track"] = seen.track
    return entry


def of_result(result: Result, labels: Sequence[str]) -> dict[str, Any]:
    """One frame; milliseconds are rounded to microseconds."""
    return {
        "index": result.index,
        "captured_s": round(result.captured_s, 3),
        "artifact": result.artifact,
        "detected": result.detected,
        "objects": [of_seen(seen, labels) for seen in result.objects],
        "ms": {stage: round(value, 3) for stage, value in result.ms.items()},
    }


def of_status(status: Status) -> dict[str, Any]:
    """The loop; `temperature_c` is absent where no sensor is."""
    entry: dict[str, Any] = {
        "state": status.state,
        "fps": round(status.fps, 2),
        "frames": status.frames,
        "dropped": status.dropped,
        "detected": status.detected,
        "restarts": dict(status.restarts),
        "step": status.step,
    }
    if status.temperature_c is not None:
        entry["temperature_c"] = round(status.temperature_c, 1)
    return entry
