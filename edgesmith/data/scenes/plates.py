"""What stands in a scene: signs of six kinds, and plates that look like signs but are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from edgesmith.data.signs import faces
from edgesmith.data.signs.faces import BLUE, RED, WHITE
from edgesmith.data.signs.shapes import Canvas, Colour, Point, arc, disc, triangle
from edgesmith.preprocess import UInt8Array

YELLOW = (236, 184, 20)
GREEN = (28, 120, 72)
GREY = (128, 132, 136)

_DISC = disc(0.98)
_TRIANGLE = triangle(1.0)
_YIELD = [(-x, -y) for x, y in _TRIANGLE]
_OCTAGON = [
    (float(np.cos(angle)), float(np.sin(angle)))
    for angle in np.radians(np.arange(22.5, 360.0, 45.0))
]
_DIAMOND = [(0.0, -0.98), (0.98, 0.0), (0.0, 0.98), (-0.98, 0.0)]
_BOARD = [(-0.98, -0.6), (0.98, -0.6), (0.98, 0.6), (-0.98, 0.6)]
_SQUARE = [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]

# The letters of STOP in boxes of width and height 1, as polylines.
_STOP: list[list[list[Point]]] = [
    [
        [
            (1.0, 0.08),
            (0.7, 0.0),
            (0.2, 0.02),
            (0.0, 0.25),
            (0.25, 0.45),
            (0.8, 0.55),
            (1.0, 0.78),
            (0.75, 0.98),
            (0.25, 1.0),
            (0.0, 0.92),
        ]
    ],
    [[(-0.05, 0.0), (1.05, 0.0)], [(0.5, 0.0), (0.5, 1.0)]],
    [arc((0.5, 0.5), (0.5, 0.5), 0, 360)],
    [[(0.0, 1.0), (0.0, 0.0), (0.7, 0.0), (1.0, 0.25), (0.7, 0.5), (0.0, 0.5)]],
]


@dataclass(frozen=True)
class Plate:
    """A painted plate: its outline in the unit square and its face in several sizes."""

    outline: Sequence[Point]
    sizes: tuple[UInt8Array, ...]

    def face(self, side: float) -> UInt8Array:
        """(S, S, 4) uint8 RGBA, premultiplied, for drawing at `side` pixels; do not write to it."""
        return faces.fitting(self.sizes, side)


def _stop(canvas: Canvas) -> None:
    _octagon(canvas)
    wide, high, pitch = 0.27, 0.62, 0.4
    for place, letter in enumerate(_STOP):
        left = -1.5 * pitch - wide / 2 + place * pitch
        for line in letter:
            points = [(left + x * wide, (y - 0.5) * high) for x, y in line]
            canvas.stroke(points, 0.1, WHITE)


def _octagon(canvas: Canvas) -> None:
    canvas.fill(_OCTAGON, WHITE)
    canvas.fill(_shrunk(_OCTAGON, 0.94), RED)


def _yield(canvas: Canvas) -> None:
    canvas.fill(_YIELD, RED)
    canvas.fill([(-x, -y) for x, y in triangle(0.66)], WHITE)


def _no_entry(canvas: Canvas) -> None:
    _painted(canvas, _DISC, RED)
    canvas.fill([(-0.7, -0.17), (0.7, -0.17), (0.7, 0.17), (-0.7, 0.17)], WHITE)


def _ring(canvas: Canvas) -> None:
    canvas.fill(_DISC, RED)
    canvas.fill(disc(0.76), WHITE)


def _blank_warning(canvas: Canvas) -> None:
    canvas.fill(_TRIANGLE, RED)
    canvas.fill(triangle(0.72), WHITE)


def _painted(canvas: Canvas, outline: Sequence[Point], colour: Colour) -> None:
    """A plain plate with a thin white rim."""
    canvas.fill(outline, WHITE)
    canvas.fill(_shrunk(outline, 0.94), colour)


def _shrunk(outline: Sequence[Point], factor: float) -> list[Point]:
    return [(x * factor, y * factor) for x, y in outline]


def _plain(outline: Sequence[Point], colour: Colour) -> tuple[Sequence[Point], _Paint]:
    return outline, partial(_painted, outline=outline, colour=colour)


_Paint = Callable[[Canvas], None]

_SIGNS: dict[str, tuple[Sequence[Point], tuple[_Paint, ...]]] = {
    "speed-limit": (_DISC, faces.paintings("speed-")),
    "mandatory": (_DISC, faces.paintings("straight", "turn-", "keep-")),
    "warning": (_TRIANGLE, faces.paintings("bend-", "crossroads", "junction", "bumps")),
    "stop": (_OCTAGON, (_stop,)),
    "yield": (_YIELD, (_yield,)),
    "no-entry": (_DISC, (_no_entry,)),
}
# Each lacks what makes a sign of its shape: the number, the arrow, the word, the bar, the colour.
_OTHERS: list[tuple[Sequence[Point], _Paint]] = [
    (_DISC, _ring),
    _plain(_DISC, BLUE),
    (_TRIANGLE, _blank_warning),
    (_OCTAGON, _octagon),
    _plain(_DISC, RED),
    _plain(_DISC, GREY),
    _plain(_DISC, GREEN),
    _plain(_YIELD, BLUE),
    _plain(_DIAMOND, YELLOW),
    _plain(_BOARD, GREEN),
    _plain(_SQUARE, BLUE),
    _plain(_BOARD, WHITE),
]

LABELS = list(_SIGNS)
"""Class names in label order."""


@cache
def signs(label: str) -> tuple[Plate, ...]:
    """All plates of a kind of sign: every number, arrow or symbol that it comes with."""
    outline, paintings = _SIGNS[label]
    return tuple(Plate(outline, faces.sizes(paint)) for paint in paintings)


@cache
def others() -> tuple[Plate, ...]:
    """Plates that a detector must leave alone."""
    return tuple(Plate(outline, faces.sizes(paint)) for outline, paint in _OTHERS)
