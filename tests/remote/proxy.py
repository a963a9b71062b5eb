"""A TCP proxy before a server, which counts what goes there and can cut a connection."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy:
    """Forwards to `port`; the first connection that sent `cut_after` bytes is cut, once."""

    def __init__(self, port: int, cut_after: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._forward_to = port
        self._cut_after: int | None = cut_after
        self._open: list[socket.socket] = []
        self.port: int = self._server.getsockname()[1]
        self.sent_bytes = 0
        self.connections = 0
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._forward_to))
                self.connections += 1
                self._open += [client, server]
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, upwards: bool) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 14):
                sink.sendall(piece)
                if upwards:
                    sent += len(piece)
                    self.sent_bytes += len(piece)
                    if self._cut_after is not None and sent > self._cut_after:
                        self._cut_after = None
                        self.cuts += 1
                        break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(port: int, *, cut_after: int) -> Iterator[Proxy]:
    found = Proxy(port, cut_after)
    try:
        yield found
    finally:
        found.close()
