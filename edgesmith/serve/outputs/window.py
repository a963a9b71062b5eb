"""A window with the annotated picture, where there is a display."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

import cv2

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs.output import OutputError
from edgesmith.serve.outputs.overlay import Overlay
from edgesmith.serve.result import Result, Status

_KEYS = (ord("q"), 27)  # q, Escape
_TRY_S = 30.0


class Window:
    """Shows frames; `closed` once the user pressed q or Escape or closed the window.

    To be used from one thread alone, the main one on macOS: GUI toolkits want that.
    """

    def __init__(self, overlay: Overlay, title: str = "edgesmith") -> None:
        """OutputError, with the remedy, where OpenCV has no windows or the machine no display."""
        reason = unavailable(os.environ, cv2.getBuildInformation())
        if reason:
            raise OutputError(reason)
        _try_out()
        self._overlay, self._title = overlay, title
        self.closed = False
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Show the frame, and see whether a key was pressed."""
        if self.closed:
            return
        # Before the frame: `imshow` would open again what the user closed.
        if not self._is_open():
            self.closed = True
            return
        cv2.imshow(self._title, self._overlay.draw(image, result, status))
        if cv2.waitKey(1) & 0xFF in _KEYS:
            self.close()

    def close(self) -> None:
        """Take the window away."""
        if not self.closed and self._is_open():
            cv2.destroyWindow(self._title)
        self.closed = True

    def _is_open(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # Qt, when the last window is gone
            return False


def _try_out() -> None:
    """OutputError where no window opens: in a process of its own, for Qt ends one without display.

    A `DISPLAY` that nothing answers at (another user's, one that is gone) is found out by that.
    """
    try:
        found = subprocess.run(
            [sys.executable, "-c", "import cv2; cv2.namedWindow('edgesmith')"],
            capture_output=True,
            text=True,
            timeout=_TRY_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OutputError(
            f"the display does not answer in {_TRY_S:.0f} s; use --http and a browser"
        ) from error
    if found.returncode:
        said = " ".join(found.stderr.split())[:200]
        raise OutputError(f"no window can be opened ({said}); use --http and a browser")


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
