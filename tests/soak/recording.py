"""Rows of runs that are over."""

from typing import Any

from edgesmith.soak.rows import Head, Recording, Row


def head(**changes: Any) -> Head:
    return Head.model_validate(
        {
            "started": 1732545000,
            "variant": "tiny",
            "format": "onnx",
            "precision": "fp32",
            "runtime": "onnxruntime 1.31.1",
            "providers": "cpu",
            "threads": 1,
            "interval_s": 2,
            "machine": "a board",
            "fingerprint": "0123456789ab",
        }
        | changes
    )


def row(elapsed_s: float, fps: float = 50.0, **changes: Any) -> Row:
    return Row.model_validate(
        {
            "elapsed_s": elapsed_s,
            "seconds": 2,
            "inferences": round(2 * fps),
            "fps": fps,
            "p50_ms": 1000 / fps,
            "p99_ms": 1200 / fps,
            "rss_mb": 100.0,
        }
        | changes
    )


def heated(minutes: int = 10, top: float = 82.0) -> Recording:
    """A board that heats from 50 °C to `top` in half the run, then runs at two thirds its speed."""
    made = []
    for number in range(1, 30 * minutes + 1):
        share = min(1.0, number / (15 * minutes))
        hot = share == 1.0
        made.append(
            row(
                2.0 * number,
                60.0 - 20.0 * hot + (number % 3),
                temperature_c=50 + (top - 50) * share,
                clock_mhz=1600.0 if hot else 2400.0,
                throttled=hot,
                throttle_reasons=("soft temperature limit",) if hot else (),
                rss_mb=100 + number / 30,
            )
        )
    return Recording(head(), made)
