"""Detections drawn into an image (OpenCV)."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from edgesmith.decode.detect import Detections
from edgesmith.preprocess import UInt8Array

Colour = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Below this scale (letters 9 pixels high) the font's strokes run into each other.
_SMALLEST = 0.4
# Neighbouring multiples of the golden ratio lie far apart on the circle of hues, however many.
_GOLDEN = 0.618034


class Pen(NamedTuple):
    """Sizes in pixels that suit an image; `scale` is the font's."""

    line: int
    scale: float
    stroke: int


class Mark(NamedTuple):
    """A box (left, top, right, bottom in pixels), what is written on it, and its colour."""

    box: Sequence[float]
    text: str
    fill: Colour


def draw(image: UInt8Array, detections: Detections, labels: list[str]) -> UInt8Array:
    """A copy of (H, W, 3) uint8 RGB with each box, its label and its score.

    Boxes are in pixels of the image. Lines and letters grow with the image; the best box lies on
    top, and labels stay inside the image.
    """
    canvas = np.ascontiguousarray(image).copy()
    mark(
        canvas,
        [
            Mark(
                [float(edge) for edge in box],
                f"{labels[int(kind)]} {100 * score:.0f}%",
                colour(int(kind)),
            )
            for box, score, kind in zip(*detections, strict=True)
        ],
    )
    return canvas


def mark(canvas: UInt8Array, marks: Sequence[Mark]) -> None:
    """Draw boxes and their texts into (H, W, 3) uint8 itself; the first lies on top.

    Colours are in the order of the canvas's channels.
    """
    pen = pen_for(canvas)
    for box, _, fill in reversed(marks):
        left, top, right, bottom = (round(edge) for edge in box)
        cv2.rectangle(canvas, (left, top), (right, bottom), fill, pen.line)
    for box, text, fill in reversed(marks):
        _name(canvas, box, text, fill, pen)


def pen_for(image: UInt8Array) -> Pen:
    """Lines and letters that grow with the image's shorter side."""
    shorter = min(image.shape[:2])
    return Pen(
        line=max(1, round(shorter / 240)),
        scale=max(_SMALLEST, shorter / 1000),
        stroke=max(1, round(shorter / 500)),
    )


def colour(number: int) -> Colour:
    """RGB of a class: the same for every image, and unlike those of the classes beside it."""
    hue = (number * _GOLDEN) % 1
    # After each round through the hues another brightness, or class 13 would look like class 0.
    value = (1.0, 0.75, 0.9)[number // 13 % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _name(canvas: UInt8Array, box: Sequence[float], text: str, fill: Colour, pen: Pen) -> None:
    """The text on a plate of the box's colour, above the box where there is room."""
    height, width = canvas.shape[:2]
    (wide, high), below = cv2.getTextSize(text, _FONT, pen.scale, pen.stroke)
    pad = pen.line + 1
    plate_width, plate_height = wide + 2 * pad, high + below + 2 * pad
    left, top = round(box[0]), round(box[1])
    x = max(0, min(left, width - plate_width))
    y = top - plate_height if top >= plate_height else min(top, height - plate_height)
    y = max(0, y)
    cv2.rectangle(canvas, (x, y), (x + plate_width, y + plate_height), fill, cv2.FILLED)
    bright = 0.299 * fill[0] + 0.587 * fill[1] + 0.114 * fill[2] > 128
    ink = (0, 0, 0) if bright else (255, 255, 255)
    origin = (x + pad, y + pad + high)
    cv2.putText(canvas, text, origin, _FONT, pen.scale, ink, pen.stroke, cv2.LINE_AA)
