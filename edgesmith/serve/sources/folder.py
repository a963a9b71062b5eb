"""The images of a folder as frames, in order of their names."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2

from edgesmith.errors import DataError
from edgesmith.preprocess import UInt8Array, read_image
from edgesmith.serve.errors import SourceError
from edgesmith.serve.sources import spec

_log = logging.getLogger(__name__)
_FPS = 10.0


class Folder:
    """Images found at the start; one that is gone or no image by its turn is named and left out."""

    patience_s = 0.0

    def __init__(self, folder: Path, fps: float | None, start: int) -> None:
        """List the folder and begin with frame `start`."""
        self.fps: float | None = fps or _FPS
        try:
            self._paths = spec.images(folder)
        except OSError as error:
            raise SourceError(f"{folder}: cannot be listed ({error.strerror})") from error
        self._next = start

    def read(self) -> UInt8Array | None:
        """The next image that can be read; None after the last."""
        while self._next < len(self._paths):
            path = self._paths[self._next]
            self._next += 1
            try:
                image = read_image(path)
            except DataError as error:
                _log.warning("left out: %s", error)
                continue
            frame: UInt8Array = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
            return frame
        return None

    def close(self) -> None:
        """Hold nothing."""
