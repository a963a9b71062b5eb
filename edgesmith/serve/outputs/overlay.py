"""The annotated picture: boxes with label, score and track, and a bar with the loop's figures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgesmith.draw import Colour, Mark, colour, mark, pen_for
from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Result, Seen, State, Status

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GAP = "   "
_INK: Colour = (245, 245, 245)
# BGR; the plate of the state, so that it is seen from across a room.
STATE_COLOURS: dict[State, Colour] = {
    "starting": (160, 160, 160),
    "running": (80, 175, 76),
    "degraded": (0, 152, 255),
    "recovering": (0, 193, 255),
    "cooling": (54, 67, 244),
    "stopped": (97, 97, 97),
}


class Overlay:
    """Draws frames for all outputs that show them; a frame that several ask for is drawn once."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._last: tuple[Result, UInt8Array] | None = None

    def draw(self, image: UInt8Array, result: Result, status: Status) -> UInt8Array:
        """An annotated copy of (H, W, 3) uint8 BGR; callers must not draw into it in turn."""
        if self._last is None or self._last[0] is not result:
            self._last = (result, annotate(image, result, status, self._labels))
        return self._last[1]


def annotate(
    image: UInt8Array, result: Result, status: Status, labels: Sequence[str]
) -> UInt8Array:
    """A copy of (H, W, 3) uint8 BGR with what was seen in it and how the loop is."""
    canvas = np.ascontiguousarray(image).copy()
    best_first = sorted(result.objects, key=lambda seen: -seen.score)
    mark(
        canvas,
        [
            Mark(seen.box, title(seen, labels), colour(seen.label)[::-1])
            for seen in best_first
            if seen.box is not None
        ],
    )
    words = [title(seen, labels) for seen in best_first if seen.box is None][:3]
    _bar(canvas, status.state, [*figures(result, status), *words])
    return canvas


def title(seen: Seen, labels: Sequence[str]) -> str:
    """`car 3 87%`: label, number of the track if it has one, score."""
    name = labels[seen.label] if 0 <= seen.label < len(labels) else f"class {seen.label}"
    track = "" if seen.track is None else f" {seen.track}"
    return f"{name}{track} {100 * seen.score:.0f}%"


def figures(result: Result, status: Status) -> list[str]:
    """The words of the bar, most important first; plain ASCII, which is all that the font has."""
    words = [f"{status.fps:.1f} FPS", f"{sum(result.ms.values()):.0f} ms"]
    if status.temperature_c is not None:
        words.append(f"{status.temperature_c:.0f} C")
    words.append(f"{status.dropped} dropped")
    if status.frames:
        words.append(f"model on {100 * status.detected / status.frames:.0f}%")
    if status.step:
        words.append(status.step)
    # Before OpenCV 5 the font has nothing else, and draws `??`.
    return [word.replace("°C", "C").encode("ascii", "replace").decode() for word in words]


def _bar(canvas: UInt8Array, state: State, words: Sequence[str]) -> None:
    """The state on its colour and the words beside it, on a darkened strip along the lower edge.

    What does not fit beside the state goes into further lines; a line too wide for a tiny image
    is cut off by its edge.
    """
    height, width = canvas.shape[:2]
    pen = pen_for(canvas)
    (state_width, high), below = cv2.getTextSize(state, _FONT, pen.scale, pen.stroke)
    pad = 2 * pen.line + 2
    line = high + below + 2 * pad
    room = width - 2 * pad
    rows: list[str] = []
    indent = state_width + 2 * pad
    for word in words:
        longer = f"{rows[-1]}{_GAP}{word}" if rows else word
        if rows and _wide(longer, pen.scale, pen.stroke) > room - indent:
            rows.append(word)
        elif rows:
            rows[-1] = longer
        else:
            rows.append(word)
    top = max(0, height - line * len(rows))
    canvas[top:] //= 3
    cv2.rectangle(
        canvas, (0, top), (state_width + 2 * pad, top + line), STATE_COLOURS[state], cv2.FILLED
    )
    origin = (pad, top + pad + high)
    cv2.putText(canvas, state, origin, _FONT, pen.scale, _INK, pen.stroke, cv2.LINE_AA)
    for number, row in enumerate(rows):
        origin = (indent + pad, top + number * line + pad + high)
        cv2.putText(canvas, row, origin, _FONT, pen.scale, _INK, pen.stroke, cv2.LINE_AA)


def _wide(text: str, scale: float, stroke: int) -> int:
    """Width of a text in pixels."""
    return int(cv2.getTextSize(text, _FONT, scale, stroke)[0][0])
