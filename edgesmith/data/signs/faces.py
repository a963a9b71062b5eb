"""The signs themselves: every class's flat, clean face as RGBA."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Protocol

from edgesmith.data.signs import glyphs
from edgesmith.data.signs.shapes import Canvas, Colour, disc, triangle
from edgesmith.preprocess import UInt8Array

RED = (190, 24, 32)
BLUE = (16, 78, 168)
WHITE = (244, 244, 240)
BLACK = (22, 22, 24)

_DRAWN = 512
_SIDES = (128, 64, 32)

_SPEEDS = ("20", "30", "50", "60", "70", "80", "100", "120")
_LEFT, _RIGHT = -1, 1


class Glyph(Protocol):
    """Paints a symbol in the middle of a canvas."""

    def __call__(self, canvas: Canvas, *, colour: Colour) -> None:
        """Paint."""


def _speed(canvas: Canvas, text: str) -> None:
    canvas.fill(disc(0.98), RED)
    canvas.fill(disc(0.76), WHITE)
    glyphs.number(canvas, text, BLACK)


def _order(canvas: Canvas, glyph: Glyph) -> None:
    canvas.fill(disc(0.98), WHITE)
    canvas.fill(disc(0.93), BLUE)
    glyph(canvas, colour=WHITE)


def _warning(canvas: Canvas, glyph: Glyph) -> None:
    canvas.fill(triangle(1.0), RED)
    canvas.fill(triangle(0.72), WHITE)
    glyph(canvas, colour=BLACK)


def _paintings() -> dict[str, Callable[[Canvas], None]]:
    orders: dict[str, Glyph] = {
        "straight": glyphs.straight,
        "turn-left": partial(glyphs.turn, side=_LEFT),
        "turn-right": partial(glyphs.turn, side=_RIGHT),
        "straight-or-left": partial(glyphs.straight_or_turn, side=_LEFT),
        "straight-or-right": partial(glyphs.straight_or_turn, side=_RIGHT),
        "keep-left": partial(glyphs.keep, side=_LEFT),
        "keep-right": partial(glyphs.keep, side=_RIGHT),
    }
    warnings: dict[str, Glyph] = {
        "bend-left": partial(glyphs.bend, side=_LEFT),
        "bend-right": partial(glyphs.bend, side=_RIGHT),
        "crossroads": glyphs.crossroads,
        "junction": glyphs.junction,
        "bumps": glyphs.bumps,
    }
    return {
        **{f"speed-{text}": partial(_speed, text=text) for text in _SPEEDS},
        **{label: partial(_order, glyph=glyph) for label, glyph in orders.items()},
        **{label: partial(_warning, glyph=glyph) for label, glyph in warnings.items()},
    }


_PAINTINGS = _paintings()

LABELS = list(_PAINTINGS)
"""Class names in label order."""


def paintings(*prefixes: str) -> tuple[Callable[[Canvas], None], ...]:
    """The painters of the faces whose label begins with one of `prefixes`, in label order."""
    return tuple(paint for label, paint in _PAINTINGS.items() if label.startswith(prefixes))


def sizes(paint: Callable[[Canvas], None]) -> tuple[UInt8Array, ...]:
    """A painting as (S, S, 4) uint8 RGBA with premultiplied colour, from the largest S down."""
    canvas = Canvas.blank(_DRAWN)
    paint(canvas)
    return tuple(canvas.shrunk(side) for side in _SIDES)


def fitting(among: tuple[UInt8Array, ...], side: float) -> UInt8Array:
    """Of the stored sizes the smallest not below `side` pixels, or the largest.

    So that a warp to that size neither blurs nor aliases.
    """
    return next((s for s in reversed(among) if s.shape[0] >= side), among[0])


@cache
def _sizes(label: str) -> tuple[UInt8Array, ...]:
    return sizes(_PAINTINGS[label])


def face(label: str, side: float) -> UInt8Array:
    """A sign's face at the stored size that fits `side` pixels best; do not write to it."""
    return fitting(_sizes(label), side)
