"""Which object is which from frame to frame, and when the detector has to look again."""

from edgesmith.serve.track.pace import Pace
from edgesmith.serve.track.tracker import FAINT, Tracker

__all__ = ["FAINT", "Pace", "Tracker"]
