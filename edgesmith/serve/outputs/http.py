"""The live page, `/metrics` and `/healthz` of a running loop, over HTTP."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from edgesmith.draw import colour
from edgesmith.events.changes import Changes
from edgesmith.events.event import Event
from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs import record
from edgesmith.serve.outputs.health import Health
from edgesmith.serve.outputs.live import LivePicture
from edgesmith.serve.outputs.metrics import Metrics
from edgesmith.serve.outputs.output import OutputError
from edgesmith.serve.outputs.overlay import Overlay
from edgesmith.serve.outputs.server import Server
from edgesmith.serve.result import Result, Status

_LOG = logging.getLogger(__name__)
_RECENT_EVENTS = 20
_MEAN_OF_FRAMES = 30


class Address(NamedTuple):
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


def address(text: str) -> Address:
    """`8080` (this machine alone), `HOST:PORT` or `[IPv6]:PORT`; OutputError for anything else."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise OutputError(
            f"--http {text}: not a port or HOST:PORT; 8080 is for this machine alone, "
            "0.0.0.0:8080 for everyone in the network"
        )
    return Address(host, int(port))


class Http:
    """Serves the page from the moment it is made; `url` is where.

    What it costs while nobody watches is counting: no frame is copied or encoded.
    """

    def __init__(
        self,
        where: Address,
        labels: Sequence[str],
        overlay: Overlay,
        *,
        healthy_within_s: float = 5.0,
        max_viewers: int = 8,
    ) -> None:
        """OutputError where nothing can listen there, such as a port in use."""
        self._labels = labels
        self._changes = Changes(labels)
        self._events: deque[Event] = deque(maxlen=_RECENT_EVENTS)
        self._stages: deque[dict[str, float]] = deque(maxlen=_MEAN_OF_FRAMES)
        self._newest: tuple[Result, Status, tuple[int, int]] | None = None
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.health = Health(healthy_within_s)
        self.metrics = Metrics(labels)
        self.live = LivePicture(overlay, max_viewers=max_viewers)
        self.page = resources.files(__package__).joinpath("page.html").read_bytes()
        try:
            self._server = Server(where.host, where.port, self)
        except BaseException:
            self.live.close()
            raise
        self.url = self._server.url
        _LOG.info("live page at %s", self.url)
        if not self._server.local:
            _LOG.warning(
                "the live page at %s has no password: whoever reaches this address sees the "
                "picture",
                self.url,
            )

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Count the frame, and draw it if somebody is waiting for a picture."""
        self.health.put(image, result, status)
        self.metrics.put(image, result, status)
        with self._lock:
            self._events.extend(self._changes.of(result, status))
            self._stages.append(dict(result.ms))
            self._newest = (result, status, (image.shape[1], image.shape[0]))
        self.live.put(image, result, status)

    def close(self) -> None:
        """Let all viewers go and free the port."""
        self.live.close()
        self._server.close()

    def snapshot(self) -> dict[str, Any]:
        """What the page shows, as plain values: `/status.json`."""
        healthy, why = self.health.verdict()
        with self._lock:
            newest, events, stages = self._newest, list(self._events), list(self._stages)
        found: dict[str, Any] = {
            "healthy": healthy,
            "why": why,
            "uptime_s": round(time.monotonic() - self._began, 1),
            "viewers": self.live.viewers,
            "events": [
                {"at_s": round(event.at_s, 3), "kind": event.kind, "words": event.words}
                for event in reversed(events)
            ],
        }
        if newest is not None:
            result, status, size = newest
            found["status"] = record.of_status(status)
            found["frame"] = record.of_result(result, self._labels)
            found["size"] = size
            found["colours"] = {
                record.name(seen.label, self._labels): "#{:02x}{:02x}{:02x}".format(
                    *colour(seen.label)
                )
                for seen in result.objects
            }
            found["ms"] = _means(stages)
        return found

    def snapshot_json(self) -> bytes:
        """The snapshot on one line."""
        return json.dumps(self.snapshot(), separators=(",", ":")).encode()


def _means(frames: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean milliseconds a frame by stage; a stage that a frame left out took it none."""
    names = dict.fromkeys(name for stages in frames for name in stages)
    return {
        name: round(sum(stages.get(name, 0.0) for stages in frames) / len(frames), 3)
        for name in names
    }
