"""Less work when the device is hot: frames, then pixels, then a smaller network."""

from edgesmith.serve.governor.ladder import FULL_SPEED, Level, Rung, ladder
from edgesmith.serve.governor.limits import Limits
from edgesmith.serve.governor.step import Governor

__all__ = ["FULL_SPEED", "Governor", "Level", "Limits", "Rung", "ladder"]
