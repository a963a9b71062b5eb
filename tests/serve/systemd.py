"""systemd's end of sd_notify: the socket that a service of Type=notify is given."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from types import TracebackType


class Receiver:
    """A datagram socket and a thread that reads it, for it holds ten; a context manager."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._taken: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()

    def take(self) -> list[str]:
        """What came since the last call."""
        time.sleep(0.05)
        found, self._taken = self._taken, []
        return found

    def _read(self) -> None:
        while words := self._socket.recv(4096):
            self._taken.append(words.decode())
