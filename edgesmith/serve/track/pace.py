"""On which frames the detector runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from edgesmith.errors import ParamsError
from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Seen
from edgesmith.serve.track.motion import Motion

# Share of the picture without a known object that has to change, over all frames since the last
# detection, for the next: an object of a fifth of the picture's side that came in.
_NEWS = 0.04
# Weight of the newest cost: about the last ten detections count.
_SMOOTH = 0.2


class Pace:
    """Detect on every n-th frame, or as seldom as motion allows.

    `adaptive` runs the detector when what moved since its last run, together with what the tracker
    doubts, is enough, and never later than `n_max` frames after it. Where `target_fps` is set and
    the measured costs (`measured`) leave no time for that many detections, it waits longer, up to
    `n_max`. The governor lengthens both by `slow_down`. The same calls give the same answers.

    Attributes:
        n: Frames per detection now; of an adaptive pace the least that costs allow.
    """

    def __init__(
        self, n: int | Literal["adaptive"], target_fps: float | None = None, n_max: int = 6
    ) -> None:
        """Raises ParamsError where `n` or `n_max` is below 1 or `target_fps` not above 0."""
        if n != "adaptive" and n < 1:
            raise ParamsError(f"detect on every {n}-th frame: the number must be 1 or more")
        if n_max < 1:
            raise ParamsError(f"at most {n_max} frames per detection: it must be 1 or more")
        if target_fps is not None and not target_fps > 0:
            raise ParamsError(f"a target of {target_fps:g} FPS: it must be above 0")
        self._fixed = None if n == "adaptive" else n
        self._target_fps = target_fps
        self._n_max = n_max
        self._factor = 1.0
        self._motion = Motion()
        self._detect_ms: float | None = None
        self._other_ms: float | None = None
        self._since: int | None = None
        self._debt = 0.0
        self._need = 0.0

    @property
    def n(self) -> float:
        """Frames per detection; of an adaptive pace the least that costs and governor allow."""
        return (self._fixed or self._affordable()) * self._factor

    def slow_down(self, factor: float) -> None:
        """Detect `factor` times as seldom from now on; 1 is full speed. From the governor."""
        if not factor >= 1:
            raise ParamsError(f"a pace slowed down {factor:g} times: the factor is 1 or more")
        self._factor = factor

    def measured(self, detect_ms: float | None, other_ms: float) -> None:
        """What the last frame took: the detector (None where it did not run), and all else."""
        if detect_ms is not None:
            self._detect_ms = _smooth(self._detect_ms, detect_ms)
        self._other_ms = _smooth(self._other_ms, other_ms)

    def detect_next(self, image: UInt8Array, tracks: Sequence[Seen], doubt: float = 0.0) -> bool:
        """Whether the detector is to run on this frame; call it once for each.

        `image` (H, W, 3) uint8 is the frame, `tracks` what was seen in the one before, `doubt` the
        tracker's (0 to 1). The first frame is always detected.
        """
        news = 0.0 if self._fixed else self._motion.news(image, tracks)
        if self._since is None:
            return self._detected(0.0)
        self._since += 1
        least = self.n
        if self._fixed:
            # Parts of frames add up: at 2.5 the detector runs after 2 and after 3 frames in turn.
            self._debt += 1
            return self._detected(self._debt - least) if self._debt >= least else False
        self._need += news / _NEWS + doubt
        longest = max(self._n_max * self._factor, least)
        due = self._since >= longest or (self._need >= 1 and self._since >= least)
        return self._detected(0.0) if due else False

    def _detected(self, left: float) -> bool:
        self._since, self._debt, self._need = 0, left, 0.0
        self._motion.known()
        return True

    def _affordable(self) -> float:
        """Frames per detection that hold the target: other + detect / n within a frame's time."""
        if self._target_fps is None or self._detect_ms is None or self._other_ms is None:
            return 1.0
        spare = 1000 / self._target_fps - self._other_ms
        if spare <= 0:
            return float(self._n_max)
        return float(min(max(math.ceil(self._detect_ms / spare), 1), self._n_max))


def _smooth(old: float | None, new: float) -> float:
    return new if old is None else old + _SMOOTH * (new - old)
