"""What surrounds a sign and where it stands: clutter, perspective placement, things in front."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.data.signs.conditions import Conditions
from edgesmith.preprocess import UInt8Array

Corners = npt.NDArray[np.float32]


def background(rng: np.random.Generator, side: int, conditions: Conditions) -> UInt8Array:
    """A cluttered (side, side, 3) uint8 scene: smooth colour, two grains of texture, shapes."""
    low, high = conditions.clutter_grain
    canvas = np.full((side, side, 3), 0.0, np.float32)
    for cells, depth in ((3, 70.0), (9, low), (24, high)):
        grain = rng.normal(0.0, depth, (cells, cells, 3)).astype(np.float32)
        # Mostly grey with a little colour, as streets are.
        grain = 0.65 * grain.mean(axis=2, keepdims=True) + 0.35 * grain
        canvas += cv2.resize(grain, (side, side), interpolation=cv2.INTER_LINEAR)
    canvas += rng.uniform(70, 170)
    pixels = np.clip(canvas, 0, 255).astype(np.uint8)
    for _ in range(rng.poisson(conditions.clutter_shapes)):
        _shape(rng, pixels)
    return pixels


def corners(
    rng: np.random.Generator, centre: tuple[float, float], size: float, conditions: Conditions
) -> Corners:
    """(4, 2) float32 pixel corners of a sign's square, seen from a little aside.

    Clockwise from the top left; `size` is the side in pixels before the perspective shortens it.
    """
    turn = np.radians(rng.uniform(-1, 1) * conditions.rotation_degrees)
    yaw, pitch = np.radians(rng.uniform(-1, 1, 2) * conditions.tilt_degrees)
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)
    rotation = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    flat = square @ rotation.T
    # A pinhole camera five half-sides away from the sign's middle.
    x = flat[:, 0] * np.cos(yaw)
    y = flat[:, 1] * np.cos(pitch)
    depth = 5.0 + flat[:, 0] * np.sin(yaw) + flat[:, 1] * np.sin(pitch)
    seen = np.stack([x, y], axis=1) * (5.0 / depth)[:, None]
    return np.asarray(seen * (size / 2) + np.asarray(centre), dtype=np.float32)


def paste(canvas: UInt8Array, face: UInt8Array, where: Corners) -> None:
    """Warp a premultiplied RGBA face onto `where` and blend it into the canvas in place."""
    rows, columns = canvas.shape[:2]
    last = face.shape[0] - 0.5
    source = np.array([(-0.5, -0.5), (last, -0.5), (last, last), (-0.5, last)], np.float32)
    matrix = cv2.getPerspectiveTransform(source, where)
    warped = cv2.warpPerspective(face, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    behind = canvas.astype(np.uint16) * (255 - warped[:, :, 3:]).astype(np.uint16)
    canvas[:] = np.minimum((behind + 127) // 255 + warped[:, :, :3], 255).astype(np.uint8)


def weather(rng: np.random.Generator, face: UInt8Array, conditions: Conditions) -> UInt8Array:
    """The face with its paint faded and tinted as years outside do; still premultiplied."""
    fade = rng.uniform(0.0, conditions.fade)
    tint = 1.0 + rng.uniform(-0.12, 0.12, 3) * conditions.fade
    grey = np.array([fade * 128.0] * 3)
    # One 4x4 colour matrix; its alpha column adds the grey, so premultiplied stays premultiplied.
    mix = np.zeros((4, 4), np.float64)
    mix[:3, :3] = np.diag((1.0 - fade) * tint)
    mix[:3, 3] = grey / 255.0
    mix[3, 3] = 1.0
    return np.asarray(cv2.transform(face, mix), dtype=np.uint8)


def occlude(rng: np.random.Generator, canvas: UInt8Array, where: Corners, share: float) -> None:
    """Draw a leaf, a pole or a sticker in front of the sign at `where`, `share` of its side big."""
    middle = where.mean(axis=0)
    size = float(np.ptp(where[:, 0]) + np.ptp(where[:, 1])) / 2
    angle = rng.uniform(0, 2 * np.pi)
    # Around the rim more than over the middle: what is hidden must not be all that differs.
    at = middle + np.array([np.cos(angle), np.sin(angle)]) * size * rng.uniform(0.25, 0.5)
    colour = tuple(int(c) for c in rng.integers(20, 200, 3))
    if rng.random() < 0.4:
        direction = np.array([-np.sin(angle), np.cos(angle)]) * size
        ends = _fixed(np.stack([at - direction, at + direction]))
        thickness = max(1, round(size * share * 0.35))
        cv2.polylines(canvas, [ends], False, colour, thickness, cv2.LINE_AA, _SHIFT)
    else:
        blob = at + rng.normal(0, 1, (5, 2)) * size * share * 0.5
        hull = cv2.convexHull(blob.astype(np.float32))[:, 0].astype(np.float64)
        cv2.fillPoly(canvas, [_fixed(hull)], colour, cv2.LINE_AA, _SHIFT)


_SHIFT = 4


def _fixed(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def _shape(rng: np.random.Generator, pixels: UInt8Array) -> None:
    """One random bar, box or blob: poles, windows, foliage, other signs' colours."""
    side = pixels.shape[0]
    grey = rng.integers(10, 240)
    colour = tuple(int(c) for c in np.clip(grey + rng.normal(0, 35, 3), 0, 255))
    x, y = (int(v) for v in rng.integers(0, side, 2))
    kind = rng.integers(0, 3)
    if kind == 0:
        far = (int(rng.integers(0, side)), int(rng.integers(0, side)))
        cv2.line(pixels, (x, y), far, colour, max(1, side // 32), cv2.LINE_AA)
    elif kind == 1:
        wide, high = (int(v) for v in rng.integers(side // 16 + 1, side // 2, 2))
        cv2.rectangle(pixels, (x, y), (x + wide, y + high), colour, -1)
    else:
        radii = tuple(int(v) for v in rng.integers(side // 16 + 1, side // 4, 2))
        cv2.ellipse(pixels, (x, y), radii, int(rng.integers(0, 180)), 0, 360, colour, -1)
