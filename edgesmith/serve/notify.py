"""What systemd is told (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Tells systemd, or nobody where the loop is no service."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        limit = environment.get("WATCHDOG_USEC", "")
        # systemd.service(5): ping twice within the limit.
        self.ping_s = int(limit) / 2e6 if limit.isdigit() else None

    def tell(self, **words: str) -> None:
        """Send `NAME=word` lines, such as READY="1"; nobody needs to receive them."""
        if not self._address:
            return
        text = "\n".join(f"{name}={word}" for name, word in words.items())
        # An address that begins with @ is in the abstract namespace.
        address = self._address.replace("@", "\0", 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(text.encode(), address)
            except OSError:
                return
