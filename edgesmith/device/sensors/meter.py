"""An external power meter on a TCP address: `meter://host:port`.

Whoever connects gets a line per measurement, as CSV `unix_seconds,watts` or as JSON
`{"t": unix_seconds, "w": watts}`. A line whose time is not after the one before is not new, and
after two seconds without a new one there is no figure.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from typing import NamedTuple
from urllib.parse import urlsplit

from edgesmith.device.sensors.latest import Latest
from edgesmith.device.sensors.source import Gauge, SensorError

_CONNECT_SECONDS = 5.0
_MAX_AGE_SECONDS = 2.0
_RETRIES = 5
_RETRY_SECONDS = 1.0
_LONGEST_LINE = 256


class Sample(NamedTuple):
    """One line of a meter."""

    seconds: float
    watts: float


def parse(line: str) -> Sample:
    """The sample of one line; SensorError names the line that is none."""
    text = line.strip()
    try:
        if text.startswith("{"):
            found = json.loads(text)
            sample = Sample(_number(found["t"]), _number(found["w"]))
        else:
            seconds, watts = text.split(",")
            sample = Sample(float(seconds), float(watts))
    except (ValueError, KeyError, TypeError) as error:
        raise SensorError(
            f"sent {text[:60]!r}, which is neither `unix_seconds,watts` nor "
            '`{"t": unix_seconds, "w": watts}`'
        ) from error
    if not (math.isfinite(sample.seconds) and math.isfinite(sample.watts)) or sample.watts < 0:
        raise SensorError(f"sent {text[:60]!r}: time and watts must be finite, watts not negative")
    return sample


class Meter:
    """A connected meter; `close` ends its thread."""

    def __init__(self, address: str, retry_seconds: float = _RETRY_SECONDS) -> None:
        """Connect and wait for the first figure; SensorError where none comes."""
        self.address = address
        self._host, self._port = split(address)
        self._retry_seconds = retry_seconds
        self._latest = Latest(_MAX_AGE_SECONDS)
        self._stop = threading.Event()
        self._last_seconds = -math.inf
        self._connection = self._connect()
        self._thread = threading.Thread(target=self._listen, name="meter", daemon=True)
        self._thread.start()
        self._latest.wait(_CONNECT_SECONDS)
        try:
            self.read()
        except SensorError:
            self.close()
            raise

    def read(self) -> float:
        """Watts of the newest line, at most 2 s old."""
        return self._latest.get(self.address)

    def gauge(self) -> Gauge:
        """The meter as a sensor."""
        return Gauge(f"meter {self.address}", self.read)

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._stop.set()
        _shut(self._connection)
        self._thread.join()

    def _connect(self) -> socket.socket:
        try:
            connection = socket.create_connection((self._host, self._port), _CONNECT_SECONDS)
        except OSError as error:
            raise SensorError(
                f"{self.address}: no connection ({error.strerror or error}); start the meter's "
                "server there, or leave --meter out"
            ) from error
        connection.settimeout(None)
        return connection

    def _listen(self) -> None:
        """Read lines; after a lost connection try again, a bounded number of times."""
        tries = 0
        while not self._stop.is_set():
            if self._take_lines():
                tries = 0
            while not self._stop.wait(self._retry_seconds if tries else 0):
                tries += 1
                if tries > _RETRIES:
                    self._latest.fail(f"the connection is lost, and {_RETRIES} attempts failed")
                    return
                try:
                    self._connection = self._connect()
                    break
                except SensorError:
                    self._latest.fail("the connection is lost")

    def _take_lines(self) -> bool:
        """Until the connection ends; whether a figure came."""
        came = False
        # Lost is the same as ended: the caller connects again.
        lost = contextlib.suppress(OSError)
        with lost, self._connection, self._connection.makefile("rb") as stream:
            while line := stream.readline(_LONGEST_LINE):
                came = self._take(line.decode(errors="replace")) or came
        if not self._stop.is_set():
            self._latest.fail("the connection is lost")
        return came

    def _take(self, line: str) -> bool:
        try:
            if not line.endswith("\n"):  # 12.5 W cut off after the 1 would be a figure, too
                raise SensorError(f"sent {line[:60]!r} without an end of line")
            sample = parse(line)
        except SensorError as error:
            self._latest.fail(str(error))
            return False
        if sample.seconds <= self._last_seconds:
            self._latest.fail(f"its time stands still at {sample.seconds:g}")
            return False
        self._last_seconds = sample.seconds
        self._latest.put(sample.watts)
        return True


def split(address: str) -> tuple[str, int]:
    """Host and port of `meter://host:port`; SensorError for anything else."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme != "meter" or parts.path not in {"", "/"}:
        raise SensorError(f"{address}: not a meter's address; write meter://host:port")
    return host, port


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # was not connected any more
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
