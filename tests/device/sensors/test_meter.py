import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgesmith.device.sensors import meter as meters
from edgesmith.device.sensors.find import find
from edgesmith.device.sensors.meter import Meter, Sample, parse, split
from edgesmith.device.sensors.source import SensorError


class Server:
    """A meter on a free port: says `greeting` to whoever connects, then what `say` is given."""

    def __init__(self, greeting: str) -> None:
        self._greeting = greeting
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"meter://127.0.0.1:{self._socket.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def say(self, text: str) -> None:
        self.connections[-1].sendall(text.encode())

    def hang_up(self) -> None:
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.connections = []

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            connection.sendall(self._greeting.encode())


@contextmanager
def _server(greeting: str) -> Iterator[Server]:
    server = Server(greeting)
    try:
        yield server
    finally:
        server.close()


def _until(meter: Meter, watts: float) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if meter.read() == watts:
                return
        except SensorError:
            pass
        time.sleep(0.005)
    raise AssertionError(f"the meter never said {watts}")


def _failure(meter: Meter, words: str) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            meter.read()
        except SensorError as error:
            if words in str(error):
                return
        time.sleep(0.005)
    raise AssertionError(f"the meter never complained of {words!r}")


def test_both_kinds_of_line_are_read() -> None:
    assert parse("1732545000.25,4.125\n") == Sample(1732545000.25, 4.125)
    assert parse('{"t": 1732545000.5, "w": 4, "v": 5.1}\n') == Sample(1732545000.5, 4.0)


@pytest.mark.parametrize(
    "line",
    ["", "4.2", "1,2,3", "1,four", '{"t": 1}', '{"t": 1, "w": "4"}', '{"t": 1, "w": null}', "{", "[1]"],
)
def test_line_of_another_kind_is_named(line: str) -> None:
    with pytest.raises(SensorError, match="neither `unix_seconds,watts` nor"):
        parse(line)


@pytest.mark.parametrize("line", ["1,nan", "1,-4", "inf,4"])
def test_figure_that_no_meter_measures_is_refused(line: str) -> None:
    with pytest.raises(SensorError, match="must be finite"):
        parse(line)


@pytest.mark.parametrize("address", ["localhost:5025", "tcp://a:1", "meter://a", "meter://a:b"])
def test_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(SensorError, match="write meter://host:port"):
        split(address)


def test_meter_is_the_power_sensor_and_gives_its_newest_line() -> None:
    with _server("1,3.5\n") as server, find(meter=server.address) as sensors:
        assert sensors.power is not None and server.address in sensors.power.name
        assert sensors.power.read() == 3.5 and "power" not in sensors.absent
        server.say("2,4.5\n")
        _until(sensors.listening[0], 4.5)


def test_meter_that_does_not_answer_is_an_error_and_not_an_absence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SensorError, match="no connection"):
        find(meter=f"meter://127.0.0.1:{port}")


def test_meter_that_talks_of_something_else_is_refused_at_once() -> None:
    with _server("HTTP/1.1 400 Bad Request\n") as server:
        with pytest.raises(SensorError, match="sent 'HTTP/1.1 400 Bad Request'"):
            Meter(server.address)


def test_half_a_line_is_no_figure() -> None:
    with _server("1,12") as server:
        time.sleep(0.05)
        threading.Timer(0.1, server.hang_up).start()
        with pytest.raises(SensorError, match="without an end of line|connection is lost"):
            Meter(server.address)


def test_old_figure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "_MAX_AGE_SECONDS", 0.05)
    with _server("1,3.5\n") as server:
        meter = Meter(server.address)
        _failure(meter, "s old")
        server.say("1,3.5\n")
        _failure(meter, "its time stands still at 1")
        server.say("2,3.6\n")
        _until(meter, 3.6)
        meter.close()


def test_lost_connection_is_taken_up_again() -> None:
    with _server("1,3.5\n") as server:
        meter = Meter(server.address, retry_seconds=0.01)
        server._greeting = "2,5.5\n"
        server.hang_up()
        _until(meter, 5.5)
        meter.close()


def test_attempts_to_reconnect_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "_MAX_AGE_SECONDS", 0.05)
    with _server("1,3.5\n") as server:
        meter = Meter(server.address, retry_seconds=0.01)
    _failure(meter, "5 attempts failed")
    meter.close()
    assert not meter._thread.is_alive()
