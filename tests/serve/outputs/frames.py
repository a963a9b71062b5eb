"""Frames as the loop would hand them out."""

import time

import numpy as np

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Result, Seen, State, Status

LABELS = ["car", "person", "sign"]
CAR = Seen(0, 0.91, (40.0, 30.0, 120.0, 90.0), track=7)
PERSON = Seen(1, 0.62, (150.0, 60.0, 190.0, 160.0), track=8)


def picture(width: int = 320, height: int = 240) -> UInt8Array:
    """A grey frame."""
    return np.full((height, width, 3), 128, np.uint8)


def result(
    index: int = 0,
    objects: tuple[Seen, ...] = (CAR, PERSON),
    captured_s: float | None = None,
    detected: bool = True,
) -> Result:
    return Result(
        index=index,
        captured_s=time.time() if captured_s is None else captured_s,
        objects=objects,
        detected=detected,
        ms={"capture": 2.0, "infer": 8.0},
        artifact="yolo26n-qat/ncnn",
    )


def status(
    state: State = "running",
    frames: int = 10,
    temperature_c: float | None = 61.5,
    step: str = "",
    restarts: dict[str, int] | None = None,
) -> Status:
    return Status(
        state=state,
        fps=24.5,
        frames=frames,
        dropped=3,
        detected=5,
        restarts=restarts or {},
        temperature_c=temperature_c,
        step=step,
    )
