"""A real server, real sockets."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import cv2
import numpy as np
import pytest

from edgesmith.serve.outputs import server
from edgesmith.serve.outputs.http import Address, Http, address
from edgesmith.serve.outputs.output import OutputError
from edgesmith.serve.outputs.overlay import Overlay
from tests.serve.outputs.frames import LABELS, picture, result, status


@pytest.fixture
def page() -> Iterator[Http]:
    served = Http(Address("127.0.0.1", 0), LABELS, Overlay(LABELS), max_viewers=2)
    yield served
    served.close()


@pytest.fixture
def playing(page: Http) -> Iterator[Http]:
    """A page whose loop finishes frames."""
    ended = threading.Event()

    def play() -> None:
        number = 0
        while not ended.wait(0.005):
            page.put(picture(), result(number), status(frames=number + 1))
            number += 1

    thread = threading.Thread(target=play)
    thread.start()
    yield page
    ended.set()
    thread.join()


def _port(page: Http) -> int:
    return int(page.url.rstrip("/").rpartition(":")[2])


def _get(
    page: Http, path: str, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", _port(page), timeout=10)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()


def _watch(page: Http, stack: ExitStack) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", _port(page), timeout=10)
    stack.callback(connection.close)
    connection.request("GET", "/live.mjpg")
    answer = connection.getresponse()
    stack.callback(answer.close)
    return answer


def _part(stream: http.client.HTTPResponse) -> bytes:
    """The next JPEG of a stream."""
    assert stream.readline() == b"--frame\r\n"
    size = 0
    while (line := stream.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        size = int(value) if name == b"Content-Length" else size
    content = stream.read(size)
    assert stream.readline() == b"\r\n"
    return content


def _until(true: Callable[[], bool]) -> bool:
    for _ in range(500):
        if true():
            return True
        time.sleep(0.01)
    return False


def test_live_picture_is_a_stream_of_annotated_frames(playing: Http) -> None:
    with ExitStack() as stack:
        stream = _watch(playing, stack)
        assert stream.status == 200
        for _ in range(3):
            seen = cv2.imdecode(np.frombuffer(_part(stream), np.uint8), cv2.IMREAD_COLOR)
            assert seen.shape == (240, 320, 3) and (seen != 128).any()


def test_nothing_is_drawn_or_encoded_while_nobody_watches(page: Http) -> None:
    drawn = []
    page.live._overlay.draw = lambda *given: drawn.append(given)  # type: ignore
    for number in range(20):
        page.put(picture(), result(number), status())
    assert page.live.encoded == 0 and not drawn


def test_all_viewers_share_one_encoding(playing: Http) -> None:
    with ExitStack() as stack:
        first, second = _watch(playing, stack), _watch(playing, stack)
        _part(first), _part(second)
        before = playing.live.encoded
        pictures = {_part(first) for _ in range(5)} & {_part(second) for _ in range(5)}
        assert pictures  # the very same bytes
        assert playing.live.encoded - before < 2 * 5


def test_places_of_viewers_are_bounded_and_given_back(playing: Http) -> None:
    with ExitStack() as stack:
        _part(_watch(playing, stack)), _part(_watch(playing, stack))
        assert _watch(playing, stack).status == 503
    assert _until(lambda: playing.live.viewers == 0)
    with ExitStack() as stack:
        assert _watch(playing, stack).status == 200


def test_viewer_who_takes_nothing_is_dropped_and_holds_up_nobody(
    playing: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 0.3)
    with ExitStack() as stack:
        stuck = socket.create_connection(("127.0.0.1", _port(playing)))
        stack.callback(stuck.close)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /live.mjpg HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert _until(lambda: playing.live.viewers == 1)
        stream = _watch(playing, stack)
        for _ in range(5):
            _part(stream)
        assert _until(lambda: playing.live.viewers == 1)  # the one that reads stays
        _part(stream)


def test_clients_are_bounded(page: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        for _ in range(server._MAX_CLIENTS):
            idle = socket.create_connection(("127.0.0.1", _port(page)))
            stack.callback(idle.close)
        assert _until(lambda: page._server._http._places._value == 0)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            _get(page, "/healthz")
    assert _until(lambda: page._server._http._places._value == server._MAX_CLIENTS)
    assert _get(page, "/")[0] == 200


def test_health_is_given_only_while_frames_finish() -> None:
    page = Http(Address("127.0.0.1", 0), LABELS, Overlay(LABELS), healthy_within_s=0.2)
    try:
        assert _get(page, "/healthz")[0] == 503
        page.put(picture(), result(), status())
        code, _, text = _get(page, "/healthz")
        assert code == 200 and text.startswith(b"running")
        assert _until(lambda: _get(page, "/healthz")[0] == 503)
    finally:
        page.close()


def test_status_tells_state_stages_and_what_happened(page: Http) -> None:
    for number in range(4):
        page.put(picture(), result(number), status())
    page.put(picture(), result(4), status("degraded", step="every 2nd frame"))
    found = json.loads(_get(page, "/status.json")[2])
    assert found["status"]["state"] == "degraded" and found["status"]["temperature_c"] == 61.5
    assert found["ms"] == {"capture": 2.0, "infer": 8.0} and found["size"] == [320, 240]
    assert found["frame"]["objects"][0] == {
        "label": "car",
        "score": 0.91,
        "box": [40.0, 30.0, 120.0, 90.0],
        "track": 7,
    }
    words = [event["words"] for event in found["events"]]
    assert words[:2] == ["every 2nd frame", "degraded"]  # newest first
    assert {"car 7 appeared", "person 8 appeared", "running"} <= set(words)


def test_status_is_pushed_to_the_page(playing: Http) -> None:
    assert _until(lambda: playing.health.verdict()[0])
    with socket.create_connection(("127.0.0.1", _port(playing)), timeout=10) as client:
        client.sendall(b"GET /status HTTP/1.0\r\nHost: localhost\r\n\r\n")
        lines = client.makefile("rb")
        data = [line for line in (lines.readline() for _ in range(16)) if line[:5] == b"data:"]
    frames = [json.loads(line[6:])["status"]["frames"] for line in data]
    assert len(frames) >= 2 and frames == sorted(set(frames))


def test_snapshot_is_of_now_or_refused(playing: Http) -> None:
    code, headers, content = _get(playing, "/frame.jpg")
    assert code == 200 and headers["Content-Type"] == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)


def test_snapshot_of_a_loop_that_finishes_nothing_is_refused(
    page: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_SNAPSHOT_S", 0.05)
    page.put(picture(), result(), status())
    assert _get(page, "/frame.jpg")[0] == 503


def test_page_loads_nothing_from_elsewhere(page: Http) -> None:
    code, headers, content = _get(page, "/")
    assert code == 200 and headers["Content-Type"].startswith("text/html")
    assert b"http://" not in content and b"https://" not in content and b"//cdn" not in content
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert _get(page, "/../../etc/passwd")[0] == 404


def test_another_sites_name_for_this_machine_is_refused(page: Http) -> None:
    assert _get(page, "/status.json", {"Host": "evil.example:80"})[0] == 403
    for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
        assert _get(page, "/status.json", {"Host": host})[0] == 200


def test_port_in_use_is_said_with_the_remedy(page: Http) -> None:
    with pytest.raises(OutputError, match=r"Address already in use.*another port"):
        Http(Address("127.0.0.1", _port(page)), LABELS, Overlay(LABELS))


def test_closing_lets_viewers_go_and_frees_the_port(page: Http) -> None:
    with ExitStack() as stack:
        stream = _watch(page, stack)
        page.close()
        assert stream.read() == b"--frame\r\n"
        again = Http(Address("127.0.0.1", _port(page)), LABELS, Overlay(LABELS))
        again.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", Address("127.0.0.1", 8080)),
        ("0.0.0.0:8080", Address("0.0.0.0", 8080)),
        ("[::]:80", Address("::", 80)),
        ("camera.local:0", Address("camera.local", 0)),
    ],
)
def test_address(text: str, expected: Address) -> None:
    assert address(text) == expected


@pytest.mark.parametrize("text", ["", "host", "host:", "1:2:x", "0.0.0.0:99999", "²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(OutputError, match=r"0\.0\.0\.0:8080 for everyone"):
        address(text)
