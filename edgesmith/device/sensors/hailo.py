"""Power of a Hailo accelerator by `hailortcli measure-power` (HailoRT 4.x and 5.x, MIT sources).

One line comes: `Current power consumption (W): 1.234`. Without a device hailortcli ends with status
0 and prints nothing, so the line itself is the proof. The M.2 modules that sense their supply give
it; others answer with UNSUPPORTED_DEVICE or OPEN_FILE_FAILURE.
"""

from __future__ import annotations

import re

from edgesmith.device.sensors.source import Gauge, Run, SensorError

_COMMAND = ("hailortcli", "measure-power")
LEAVES_OUT = "everything but the accelerator: processor, memory, board"


def power(run: Run) -> Gauge:
    """Watts of the accelerator alone; SensorError where it does not measure them."""
    gauge = Gauge(" ".join(_COMMAND), lambda: parse(run(_COMMAND)), LEAVES_OUT)
    gauge.read()
    return gauge


def parse(text: str) -> float:
    """Watts of `Current power consumption (W): …` or, of `--duration`, `Average value (W): …`."""
    pattern = r"^(?:Current power consumption|Average value) \(W\): (\d+(?:\.\d+)?(?:e-?\d+)?)\s*$"
    match = re.search(pattern, text, re.MULTILINE)
    if not match:
        said = text.strip()[:60]
        raise SensorError(
            "hailortcli measure-power: "
            + (
                f"said {said!r}, no power"
                if said
                else "said nothing: no device, or none that measures"
            )
        )
    return float(match[1])
