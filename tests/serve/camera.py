"""A network camera: MJPEG over HTTP, which can be cut, stalled and started again."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import cv2
import numpy as np

_PAUSE_SECONDS = 0.02


class Camera:
    """Sends frames to whoever asks; a context manager."""

    def __init__(self, port: int = 0) -> None:
        self._image = np.full((48, 64, 3), (0, 0, 255), np.uint8)
        self._jpeg = cv2.imencode(".jpg", self._image)[1].tobytes()
        self._generation = 0
        self._stalled = False
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                camera._send(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/video"

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def cut(self) -> None:
        """End every connection; new ones are answered."""
        self._generation += 1

    def stall(self) -> None:
        """Keep connections and send nothing."""
        self._stalled = True

    def close(self) -> None:
        """End every connection and answer no more."""
        self._generation += 1
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _send(self, handler: BaseHTTPRequestHandler) -> None:
        generation = self._generation
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self._jpeg)}\r\n\r\n"
        try:
            while self._generation == generation:
                if not self._stalled:
                    handler.wfile.write(head.encode() + self._jpeg + b"\r\n")
                time.sleep(_PAUSE_SECONDS)
        except OSError:
            pass
