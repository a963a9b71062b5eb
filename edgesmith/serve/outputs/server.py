"""The HTTP server below the live page: a bounded number of clients, and none holds up another."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Protocol

from edgesmith.serve.outputs.health import Health
from edgesmith.serve.outputs.live import LivePicture
from edgesmith.serve.outputs.metrics import CONTENT_TYPE, Metrics
from edgesmith.serve.outputs.output import OutputError

_LOG = logging.getLogger(__name__)
_MAX_CLIENTS = 32
# A client that takes no byte for as long is let go.
_STALLED_S = 5.0
_STATUS_EVERY_S = 0.5
_SNAPSHOT_S = 2.0
# What lies in the kernel is old when it arrives: little of it, so that a slow viewer skips frames.
_SEND_BUFFER = 65536
_BOUNDARY = b"frame"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # No other site's page shows the camera in a browser that may reach this address.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
}


class Shown(Protocol):
    """What the server serves."""

    live: LivePicture
    metrics: Metrics
    health: Health
    page: bytes

    def snapshot_json(self) -> bytes:
        """The loop's figures on one line of JSON."""


class Server:
    """Listens and answers in threads until it is closed."""

    def __init__(self, host: str, port: int, shown: Shown) -> None:
        """OutputError where nothing can listen there."""
        try:
            self._http = _Http(host, port, shown)
        except OSError as error:
            raise OutputError(
                f"{_joined(host, port)}: nothing can listen there ({error.strerror}); name another "
                f"port, or stop what has this one (`ss -ltnp 'sport = :{port}'` names it)"
            ) from error
        bound = self._http.server_address
        self.local = self._http.local
        self.url = f"http://{_joined(str(bound[0]), int(bound[1]))}/"
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.1,), name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; clients see the end of their streams."""
        self._http.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _MAX_CLIENTS

    def __init__(self, host: str, port: int, shown: Shown) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.shown = shown
        self.closing = threading.Event()
        self._places = threading.BoundedSemaphore(_MAX_CLIENTS)
        super().__init__((host, port), _Handler)
        self.local = _is_local(str(self.server_address[0]))

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host's name, which can take seconds offline."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread per client, as long as there are places."""
        if not self._places.acquire(blocking=False):
            _LOG.warning("live page: %d clients are connected, one more is sent away", _MAX_CLIENTS)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of ours; anything else is a defect."""
        _LOG.exception("live page: request of %s", client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    timeout = _STALLED_S
    server_version = "edgesmith"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one request."""
        path = self.path.partition("?")[0]
        shown = self.server.shown
        if not self._host_is_ours():
            self._send(HTTPStatus.FORBIDDEN, b"this page is for http://127.0.0.1 alone\n")
            return
        try:
            if path == "/":
                self._send(HTTPStatus.OK, shown.page, "text/html; charset=utf-8")
            elif path == "/status.json":
                self._send(HTTPStatus.OK, shown.snapshot_json(), "application/json")
            elif path == "/status":
                self._follow()
            elif path == "/live.mjpg":
                self._stream()
            elif path == "/frame.jpg":
                self._snapshot()
            elif path == "/metrics":
                self._send(HTTPStatus.OK, shown.metrics.text(), CONTENT_TYPE)
            elif path == "/healthz":
                healthy, why = shown.health.verdict()
                status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
                self._send(status, f"{why}\n".encode())
            else:
                self._send(HTTPStatus.NOT_FOUND, b"not here\n")
        except (OSError, TimeoutError) as error:
            _LOG.debug("live page: %s went away (%s)", self.client_address[0], error)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no news."""
        _LOG.debug("live page: %s %s", self.client_address[0], format % args)

    def _stream(self) -> None:
        """Newest frames as parts of one endless answer, for as long as the client takes them."""
        live = self.server.shown.live
        with live.watch() as admitted:
            if not admitted:
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"all places are taken; close a page\n")
                return
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            self._head(HTTPStatus.OK, f"multipart/x-mixed-replace; boundary={_BOUNDARY.decode()}")
            if self.command == "HEAD":
                return
            number = 0
            self.wfile.write(b"--" + _BOUNDARY + b"\r\n")
            while not live.ended:
                # Without a new frame the last one again: a client that is gone is noticed.
                jpeg = live.next(number, timeout_s=2.0)
                if jpeg is None:
                    continue
                number = jpeg.number
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg.content)}\r\n\r\n"
                # The boundary at once: browsers show a part when they see its end.
                self.wfile.write(head.encode() + jpeg.content + b"\r\n--" + _BOUNDARY + b"\r\n")

    def _snapshot(self) -> None:
        live = self.server.shown.live
        with live.watch() as admitted:
            after = live.encoded
            jpeg = live.next(after, _SNAPSHOT_S) if admitted else None
        # What is older than this request would be taken for the present.
        if jpeg is None or jpeg.number <= after:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"no frame finishes\n")
        else:
            self._send(HTTPStatus.OK, jpeg.content, "image/jpeg")

    def _follow(self) -> None:
        """Server-sent events: the figures twice a second."""
        self._head(HTTPStatus.OK, "text/event-stream")
        while self.command != "HEAD" and not self.server.closing.is_set():
            self.wfile.write(b"data: " + self.server.shown.snapshot_json() + b"\n\n")
            self.server.closing.wait(_STATUS_EVERY_S)

    def _send(
        self, status: HTTPStatus, content: bytes, kind: str = "text/plain; charset=utf-8"
    ) -> None:
        self._head(status, kind, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str, size: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if size is not None:
            self.send_header("Content-Length", str(size))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def _host_is_ours(self) -> bool:
        """Whether the browser meant this machine, where the page is for this machine alone.

        Another site's name can be made to resolve to 127.0.0.1 (DNS rebinding), and its page would
        then read the camera.
        """
        if not self.server.local:
            return True
        host = self.headers.get("Host", "localhost")
        name = host.rpartition("]")[0].removeprefix("[") or host.partition(":")[0]
        return name == "localhost" or _is_local(name)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
