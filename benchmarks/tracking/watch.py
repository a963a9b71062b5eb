"""One film through detector, pace and tracker, as the loop does it, with the CPU that it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from edgesmith.errors import DataError
from edgesmith.preprocess import UInt8Array
from edgesmith.serve.model import Model
from edgesmith.serve.result import Seen
from edgesmith.serve.track import Pace, Tracker
from edgesmith.serve.track.tracker import Carrier


@dataclass(frozen=True)
class Policy:
    """When the detector runs, and how boxes are carried between."""

    n: int | Literal["adaptive"]
    carrier: Carrier = "flow"

    @property
    def words(self) -> str:
        """As a row of a table names it."""
        if self.n == 1:
            return "every frame"
        when = "adaptive" if self.n == "adaptive" else _NTH.get(self.n, f"every {self.n}th frame")
        return when if self.carrier == "flow" else f"{when}, boxes {_CARRIED[self.carrier]}"


_NTH = {2: "every 2nd frame", 3: "every 3rd frame"}
_CARRIED = {"velocity": "at constant speed", "hold": "left where they were"}


class Watched(NamedTuple):
    """What was seen in every frame, detections, and CPU seconds of detecting and of all else."""

    answers: list[tuple[Seen, ...]]
    detections: int
    detect_s: float
    track_s: float


def frames(video: Path) -> Iterator[UInt8Array]:
    """(H, W, 3) uint8 BGR, one after the other; DataError where none can be read."""
    reader = cv2.VideoCapture(str(video))
    count = 0
    while True:
        there, image = reader.read()
        if not there:
            break
        count += 1
        yield np.asarray(image, np.uint8)
    if not count:
        raise DataError(f"{video}: OpenCV reads no frame of it; render it again")


def watch(model: Model, video: Path, fps: float, policy: Policy) -> Watched:
    """What the loop does with a frame between reading and showing it, by the loop's own code.

    CPU time is that of the whole process: a runtime's threads count.
    """
    tracker, pace = Tracker(fps, carrier=policy.carrier), Pace(policy.n)
    answers: list[tuple[Seen, ...]] = []
    detections, detect_s, track_s = 0, 0.0, 0.0
    seen: tuple[Seen, ...] = ()
    for image in frames(video):
        start = time.process_time()
        found: tuple[Seen, ...] = ()
        detect = pace.detect_next(image, seen, tracker.doubt)
        decided = time.process_time()
        if detect:
            found, _ = model.decode(model.look(model.prepare(image)))
            detections += 1
        detected = time.process_time()
        seen = tracker.update(found, image) if detect else tracker.carry(image)
        answers.append(seen)
        detect_s += detected - decided
        track_s += time.process_time() - detected + decided - start
    return Watched(answers, detections, detect_s, track_s)
