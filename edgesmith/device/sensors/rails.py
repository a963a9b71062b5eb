"""Which of a board's measured rails are the whole."""

from __future__ import annotations

from collections.abc import Mapping

from edgesmith.device.sensors.source import SensorError

# The input of the module or board, from which all its other rails are fed.
INPUTS = ("VDD_IN", "POM_5V_IN")
SUM_LEAVES_OUT = (
    "what no measured rail supplies; a rail that feeds another measured one counts twice"
)


def rails_total(watts: Mapping[str, float], where: str) -> tuple[float, str]:
    """Watts of the input rail, else the sum of all, and which in words; SensorError without any."""
    if not watts:
        raise SensorError(f"{where}: no power of a rail")
    for name in INPUTS:
        if name in watts:
            return watts[name], name
    return sum(watts.values()), "+".join(watts)
