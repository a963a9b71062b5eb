"""What is painted on a sign: digits, arrows and warning symbols, as strokes and polygons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesmith.data.signs.shapes import Canvas, Colour, Point, arc

# One digit in a box 0.6 wide and 1 high, as polylines.
_DIGITS: dict[str, list[list[Point]]] = {
    "0": [arc((0.3, 0.5), (0.27, 0.47), 0, 360)],
    "1": [[(0.1, 0.22), (0.36, 0.03), (0.36, 0.97)]],
    "2": [[*arc((0.3, 0.29), (0.26, 0.26), 185, 395), (0.04, 0.97), (0.58, 0.97)]],
    "3": [[*arc((0.28, 0.27), (0.26, 0.24), 200, 450), *arc((0.28, 0.73), (0.28, 0.24), 270, 520)]],
    "5": [
        [(0.54, 0.03), (0.12, 0.03), (0.08, 0.46), *arc((0.29, 0.67), (0.27, 0.3), 225, 505)],
    ],
    "6": [
        arc((0.3, 0.68), (0.26, 0.29), 0, 360),
        [(0.48, 0.04), (0.26, 0.2), (0.1, 0.42), (0.04, 0.68)],
    ],
    "7": [[(0.03, 0.03), (0.57, 0.03), (0.2, 0.97)]],
    "8": [
        arc((0.3, 0.26), (0.23, 0.23), 0, 360),
        arc((0.3, 0.73), (0.27, 0.24), 0, 360),
    ],
}


def number(canvas: Canvas, text: str, colour: Colour) -> None:
    """Write up to three digits in the middle of the canvas."""
    height = 0.84 if len(text) < 3 else 0.7
    squeeze = 1.0 if len(text) < 3 else 0.78
    pitch = 0.76 * height * squeeze
    left = -(pitch * (len(text) - 1) + 0.6 * height * squeeze) / 2
    for place, digit in enumerate(text):
        for line in _DIGITS[digit]:
            points = [
                (left + place * pitch + x * height * squeeze, (y - 0.5) * height) for x, y in line
            ]
            canvas.stroke(points, 0.15 * height + 0.01, colour)


def arrow(canvas: Canvas, path: Sequence[Point], colour: Colour, width: float = 0.2) -> None:
    """A line along `path` that ends in an arrow head."""
    canvas.stroke(path[:-1], width, colour)
    tail, tip = np.asarray(path[-2]), np.asarray(path[-1])
    along = (tip - tail) / np.linalg.norm(tip - tail)
    across = np.asarray((-along[1], along[0]))
    base = tip - along * width * 1.7
    canvas.stroke([path[-2], (float(base[0]), float(base[1]))], width, colour)
    corners = (tip, base + across * width * 1.6, base - across * width * 1.6)
    canvas.fill([(float(x), float(y)) for x, y in corners], colour)


def straight(canvas: Canvas, colour: Colour) -> None:
    """An arrow straight ahead."""
    arrow(canvas, [(0.0, 0.66), (0.0, 0.0), (0.0, -0.7)], colour)


def turn(canvas: Canvas, colour: Colour, side: int) -> None:
    """An arrow to the left (`side` -1) or to the right (1)."""
    arrow(canvas, [(-0.6 * side, 0.0), (0.0, 0.0), (0.68 * side, 0.0)], colour)


def straight_or_turn(canvas: Canvas, colour: Colour, side: int) -> None:
    """A forked arrow: straight ahead, or to `side`."""
    foot = -0.16 * side
    arrow(canvas, [(foot, 0.66), (foot, 0.0), (foot, -0.7)], colour, 0.17)
    arrow(canvas, [(foot, 0.24), (0.2 * side, 0.24), (0.62 * side, 0.24)], colour, 0.17)


def keep(canvas: Canvas, colour: Colour, side: int) -> None:
    """An arrow that points down to the left or to the right: pass on this side."""
    arrow(canvas, [(-0.46 * side, -0.46), (0.0, 0.0), (0.5 * side, 0.5)], colour)


def bend(canvas: Canvas, colour: Colour, side: int) -> None:
    """A road that bends to `side`."""
    path = [(-0.14 * side, 0.62), (-0.14 * side, 0.3), (-0.02 * side, 0.16), (0.24 * side, -0.18)]
    arrow(canvas, path, colour, 0.15)


def crossroads(canvas: Canvas, colour: Colour) -> None:
    """Two roads that cross."""
    canvas.stroke([(-0.26, -0.02), (0.26, 0.5)], 0.17, colour)
    canvas.stroke([(0.26, -0.02), (-0.26, 0.5)], 0.17, colour)


def junction(canvas: Canvas, colour: Colour) -> None:
    """A main road that a minor one crosses."""
    canvas.stroke([(0.0, -0.16), (0.0, 0.6)], 0.19, colour)
    canvas.stroke([(-0.3, 0.3), (0.3, 0.3)], 0.11, colour)


def bumps(canvas: Canvas, colour: Colour) -> None:
    """An uneven road."""
    canvas.fill([*arc((-0.24, 0.56), (0.2, 0.34), 180, 360)], colour)
    canvas.fill([*arc((0.24, 0.56), (0.2, 0.34), 180, 360)], colour)
    canvas.stroke([(-0.5, 0.58), (0.5, 0.58)], 0.1, colour)
