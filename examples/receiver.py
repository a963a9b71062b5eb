"""A receiver of events for `edgesmith sync`, to start from and to test against.

    python -m examples.receiver --port 8090 --into received.jsonl
    edgesmith sync events.db http://127.0.0.1:8090/events

It appends each event once, by its key, and answers 200 only when the events are on the disk; the
keys are read back from the file at the start. With `--trouble` it behaves as receivers do on bad
days: `500`, `slow`, `cut` (it takes the batch and hangs up without an answer), `refuse`.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_MOST_BYTES = 16_000_000


@dataclass
class Received:
    """What has arrived, and how the receiver is to behave.

    `trouble` are the kinds of the next requests, one each; afterwards all is well.
    """

    into: Path
    token: str | None = None
    trouble: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    duplicates: int = 0
    slow_s: float = 2.0
    keys: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.into.exists():
            # A line that a crash cut off was never acknowledged: it goes, and comes again.
            whole = self.into.read_bytes().rpartition(b"\n")[0]
            lines = whole.split(b"\n") if whole else []
            self.into.write_bytes(b"".join(line + b"\n" for line in lines))
            self.keys = {json.loads(line)["key"] for line in lines}

    def take(self, body: dict[str, Any]) -> int:
        """Append what is new of a batch, durably; how many events that was."""
        with self.lock:
            new = [event for event in body["events"] if event["key"] not in self.keys]
            self.duplicates += len(body["events"]) - len(new)
            with self.into.open("a") as stream:
                for event in new:
                    stream.write(json.dumps({"device": body["device"], **event}) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            self.keys.update(event["key"] for event in new)
            return len(new)


class Server(ThreadingHTTPServer):
    """The receiver, listening."""

    daemon_threads = True

    def __init__(self, port: int, received: Received, host: str = "127.0.0.1") -> None:
        self.received = received
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30

    def do_POST(self) -> None:
        """Take one batch."""
        received = self.server.received
        size = int(self.headers.get("Content-Length", 0))
        if size > _MOST_BYTES:
            self._answer(413, {"error": f"at most {_MOST_BYTES} bytes"})
            return
        content = self.rfile.read(size)
        with received.lock:
            received.requests.append(self.headers.get("Idempotency-Key", ""))
            trouble = received.trouble.pop(0) if received.trouble else ""
        if received.token and self.headers.get("Authorization") != f"Bearer {received.token}":
            self._answer(401, {"error": "no such token"})
        elif trouble == "500":
            self._answer(500, {"error": "a bad day"})
        elif trouble == "busy":
            self._answer(503, {"error": "later"}, {"Retry-After": "1"})
        elif trouble == "refuse":
            self._answer(422, {"error": "not what is taken here"})
        else:
            self._take(content, trouble)

    def _take(self, content: bytes, trouble: str) -> None:
        try:
            body = json.loads(content)
            new = self.server.received.take(body)
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, {"error": f"not a batch: {error}"})
            return
        if trouble == "cut":  # stored, and the device does not know
            self.close_connection = True
            return
        if trouble == "slow":
            time.sleep(self.server.received.slow_s)
        self._answer(200, {"batch": body["batch"], "new": new})

    def _answer(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Listen until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.receiver", description="Receive events from `edgesmith sync`."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--into", type=Path, default=Path("received.jsonl"))
    parser.add_argument("--token", help="variable that holds the bearer token to ask for")
    parser.add_argument(
        "--trouble", nargs="*", default=[], help="500, busy, refuse, cut or slow, a request each"
    )
    given = parser.parse_args()
    token = os.environ[given.token] if given.token else None
    server = Server(given.port, Received(given.into, token, given.trouble), given.host)
    print(f"http://{given.host}:{server.server_address[1]}/ into {given.into}", flush=True)
    try:
        server.serve_forever(0.1)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
