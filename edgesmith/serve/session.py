"""A whole session of the loop in this process and its parts, with its summary."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from edgesmith.device.sensors.find import find
from edgesmith.serve.heat import Heat, governor
from edgesmith.serve.notify import Notifier
from edgesmith.serve.part import configure_log
from edgesmith.serve.settings import Settings
from edgesmith.serve.summary import Summary, summarise
from edgesmith.serve.supervisor import Supervisor

_log = logging.getLogger(__name__)


def serve(settings: Settings, stop: Callable[[], bool], root: Path = Path("/")) -> Summary:
    """Run the loop until its source ends, `stop` says so, or a part cannot be kept alive.

    The machine's sensors are below `root`. Raises ServeError where the session does not begin. No
    process is left behind, whatever ends it.
    """
    configure_log()
    sensors = find(root)
    if "temperature" in sensors.absent:
        _log.info("no temperature: %s", sensors.absent["temperature"])
    governs = settings.govern and bool(sensors.temperatures)
    heat = Heat(sensors, governor(settings) if governs else None)
    supervisor = Supervisor(settings, heat, Notifier())
    try:
        ending = supervisor.run(stop)
        return summarise(supervisor, heat, ending)
    finally:
        heat.close()
        supervisor.shared.close()
