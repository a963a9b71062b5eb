"""A static web server, which can be told to have no ranges, and to break off."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep


class Web(ThreadingHTTPServer):
    """`cuts`: for the next requests of objects under files/, bytes after which the line breaks."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.ranges = True
        self.cuts: list[int] = []
        self.statuses: list[int] = []  # answered to the next requests, whatever they ask for
        self.pause_s = 0.0
        self.seen: list[tuple[str, str]] = []
        self.sent = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        web = self.server
        web.seen.append((self.path, self.headers.get("Range", "")))
        if web.statuses:
            self.send_error(web.statuses.pop(0))
            return
        path = web.root / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = 0
        if web.ranges and (found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            start = int(found[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path.startswith("/files/") and web.cuts and len(body) > web.cuts[0]:
            body = body[: web.cuts.pop(0)]
            self.close_connection = True
        for at in range(0, len(body), 1 << 16):
            self.wfile.write(body[at : at + (1 << 16)])
            web.sent += len(body[at : at + (1 << 16)])
            sleep(web.pause_s)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def serve(root: Path) -> Iterator[Web]:
    server = Web(root)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
