"""What moved in the picture that no track explains: cheap enough for every frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.preprocess import Float32Array, UInt8Array
from edgesmith.serve.result import Seen

Mask = npt.NDArray[np.bool_]

# Longer side of the image that is compared, at least; a pixel of it is the mean of dozens: noise is
# gone.
_SIDE = 80
# Levels of 255 that a pixel has to change by.
_CHANGE = 10.0
# Pixels around tracks, and around what moved at the last detection, that are no news either.
_MARGIN = 3
# Least certainty of a shift of the whole picture (the camera) that is believed.
_LEAST_RESPONSE = 0.1


class Motion:
    """Frame differences, less the camera's own motion, less what is known."""

    def __init__(self) -> None:
        self._before: Float32Array | None = None
        self._window: Float32Array | None = None
        self._changed: Mask | None = None
        self._known: Mask | None = None

    def news(self, image: UInt8Array, tracks: Sequence[Seen]) -> float:
        """Share of the picture (0 to 1) that changed since the frame before and is not known.

        `image` (H, W, 3) uint8. Known are the boxes of `tracks` and what already moved when the
        detector ran last: a tree in the wind is looked at once, not in every frame.
        """
        scale = max(max(image.shape[:2]) // _SIDE, 1)
        now = _small(image, scale)
        before, self._before = self._before, now
        if before is None or before.shape != now.shape:
            self._changed = self._known = None
            return 0.0
        plain = np.asarray(np.abs(now - before), np.float32)
        changed = _changes(plain)
        # Where nothing changed no camera moved either, and most cameras hang still.
        if changed.any():
            changed = self._difference(before, now, plain)
        for found in tracks:
            if found.box is not None:
                x1, y1, x2, y2 = (round(edge / scale) for edge in found.box)
                top, left = max(y1 - _MARGIN, 0), max(x1 - _MARGIN, 0)
                changed[top : max(y2 + _MARGIN, 0), left : max(x2 + _MARGIN, 0)] = False
        self._changed = changed
        new = changed if self._known is None else changed & ~self._known
        return float(new.mean())

    def known(self) -> None:
        """The detector runs on the last frame: what moves there is known from now on."""
        if self._changed is None:
            self._known = None
            return
        kernel = np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)
        self._known = cv2.dilate(self._changed.astype(np.uint8), kernel).astype(np.bool_)

    def _difference(self, before: Float32Array, now: Float32Array, plain: Float32Array) -> Mask:
        """Where the frames differ once the one before is shifted as the camera moved.

        `plain` is how much they differ as they are.
        """
        if self._window is None or self._window.shape != now.shape:
            size = (now.shape[1], now.shape[0])
            self._window = np.asarray(cv2.createHanningWindow(size, cv2.CV_32F), np.float32)
        across = down = 0.0
        moved = before
        # Twice: of soft pictures the first round finds three quarters of the way.
        for _ in range(2):
            # Copies: OpenCV 5.0 multiplies both images by the window in place.
            (x, y), response = cv2.phaseCorrelate(moved.copy(), now.copy(), self._window)
            across, down = across + x, down + y
            if response < _LEAST_RESPONSE or max(abs(across), abs(down)) > max(now.shape) / 8:
                return _changes(plain)
            shift = np.array([(1, 0, across), (0, 1, down)], np.float32)
            moved = np.asarray(
                cv2.warpAffine(before, shift, (now.shape[1], now.shape[0])), np.float32
            )
        # What came in at the border with the camera is not a difference but new.
        rows, columns = int(abs(down) + 2), int(abs(across) + 2)
        inner = (slice(rows, now.shape[0] - rows), slice(columns, now.shape[1] - columns))
        difference = np.abs(now[inner] - moved[inner])
        # A fence or a striped wall fits itself shifted as well: only what explains more counts.
        if difference.mean() >= plain[inner].mean():
            return _changes(plain)
        changed = np.zeros(now.shape, np.bool_)
        changed[inner] = _changes(difference)
        return changed


def _small(image: UInt8Array, scale: int) -> Float32Array:
    """(h, w) grey means of `scale` by `scale` pixels of (H, W, 3) uint8."""
    height, width = image.shape[0] // scale, image.shape[1] // scale
    # A whole number of pixels becomes one: OpenCV's averaging is four times as fast then.
    pixels = cv2.cvtColor(image[: height * scale, : width * scale], cv2.COLOR_BGR2GRAY)
    means = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


def _changes(difference: Float32Array) -> Mask:
    return np.asarray(difference > _CHANGE, np.bool_)
