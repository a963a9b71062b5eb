"""A window with the annotated picture, where there is a display."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import cv2

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs.output import OutputError
from edgesmith.serve.outputs.overlay import Overlay
from edgesmith.serve.result import Result, Status

_KEYS = (ord("q"), 27)  # q, Escape


class Window:
    """Shows frames; `closed` once the user pressed q or Escape or closed the window.

    To be used from one thread alone, the main one on macOS: GUI toolkits want that.
    """

    def __init__(self, overlay: Overlay, title: str = "edgesmith") -> None:
        """OutputError, with the remedy, where OpenCV has no windows or the machine no display."""
        reason = unavailable(os.environ, cv2.getBuildInformation())
        if reason:
            raise OutputError(reason)
        self._overlay, self._title = overlay, title
        self.closed = False
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise OutputError(
                f"no window can be opened ({error.err}); use --http and a browser"
            ) from error

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Show the frame, and see whether a key was pressed."""
        if self.closed:
            return
        cv2.imshow(self._title, self._overlay.draw(image, result, status))
        pressed = cv2.waitKey(1) & 0xFF
        if pressed in _KEYS or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            self.closed = True
            cv2.destroyWindow(self._title)

    def close(self) -> None:
        """Take the window away."""
        if not self.closed:
            self.closed = True
            cv2.destroyWindow(self._title)


def unavailable(environment: Mapping[str, str], build: str) -> str:
    """Why no window can be shown and what to do, or "" where one can.

    `build` is `cv2.getBuildInformation()`, whose `GUI:` says NONE in the headless packages.
    """
    found = re.search(r"^\s*GUI:\s*(\S.*)$", build, re.MULTILINE)
    if found is None or found[1].strip().upper() == "NONE":
        return (
            "this OpenCV has no windows (opencv-python-headless): use --http and a browser, or "
            "`pip uninstall opencv-python-headless && pip install opencv-python`"
        )
    on_x11 = any(name in found[1] for name in ("GTK", "QT")) or "WAYLAND" in found[1]
    if on_x11 and not any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        return (
            "no display here (neither DISPLAY nor WAYLAND_DISPLAY is set): use --http and a "
            "browser, or start it from the desktop's own terminal"
        )
    return ""
