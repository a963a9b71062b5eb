"""Frames of a film and what is in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.data.scenes.placing import MEDIAN_SIZE
from edgesmith.data.signs import camera
from edgesmith.data.signs import scene as street
from edgesmith.data.signs.conditions import Conditions
from edgesmith.errors import DataError
from edgesmith.film import stage
from edgesmith.film.actors import Actor, cast
from edgesmith.preprocess import Float32Array, UInt8Array

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Script:
    """Everything that decides a film. `difficulty` is that of `edgesmith.data.scenes`, 0 to 1."""

    seed: int = 0
    seconds: float = 20.0
    fps: float = 30.0
    width: int = 640
    height: int = 480
    difficulty: float = 0.4
    together: float = 4.0

    @property
    def frames(self) -> int:
        """How many there are."""
        return round(self.seconds * self.fps)

    def check(self) -> None:
        """DataError where no film can be made of it."""
        for name, value in (
            ("seconds", self.seconds),
            ("fps", self.fps),
            ("plates", self.together),
        ):
            if not value > 0:
                raise DataError(f"a film's {name} are {value:g}; they must be more than 0")
        if not 0 <= self.difficulty <= 1:
            raise DataError(f"a film's difficulty is {self.difficulty:g}; it is from 0 to 1")
        if min(self.width, self.height) < 64:
            raise DataError(
                f"a film of {self.width}×{self.height} pixels; 64 is the least: a sign of a "
                "smaller one has nothing on it"
            )


class Truth(NamedTuple):
    """One sign in one frame.

    `box` x1 y1 x2 y2 surrounds its outline inside the picture, also where something hides a part;
    `visible` is the share of the outline that can be seen, 0 to 1.
    """

    track: int
    label: int
    box: Box
    visible: float


class _Plate(NamedTuple):
    """A plate in one frame: the pixel centres of its square's corners, its outline, its side."""

    actor: Actor
    corners: Float32Array
    outline: Float32Array
    size: float


class Frame(NamedTuple):
    """`image` (height, width, 3) uint8 RGB and the signs in it, in order of their numbers."""

    image: UInt8Array
    signs: tuple[Truth, ...]


def shoot(script: Script) -> Iterator[Frame]:
    """The frames of a film, one after the other; the script alone decides every pixel."""
    script.check()
    conditions = Conditions.of(script.difficulty)
    # Lens and hand do not know how large a sign is: less of them reaches one that is a part of it.
    conditions = replace(conditions, blur=conditions.blur * MEDIAN_SIZE)
    built = stage.build(script.seed, script.width, script.height, conditions)
    actors = cast(
        script.seed, script.seconds, script.width, script.height, script.together, built.border
    )
    noise = np.random.default_rng([script.seed, 2])
    for number in range(script.frames):
        time_s = number / script.fps
        ground, front = built.view(time_s, script.width, script.height)
        canvas = ground.copy()
        plates = [
            _place(actor, time_s, built.pan(time_s), conditions)
            for actor in actors
            if actor.on_stage(time_s)
        ]
        for plate in plates:
            _paint(canvas, plate, conditions)
        canvas[front > 127] = ground[front > 127]
        image = _expose(script.seed, canvas, conditions, noise)
        yield Frame(image, _truths(plates, front > 127))


def _place(actor: Actor, time_s: float, pan: tuple[float, float], conditions: Conditions) -> _Plate:
    x, y = actor.middle(time_s) - np.array(pan)
    size = actor.size(time_s)
    # Drawn anew with the same seed in every frame: a plate keeps its tilt.
    rng = np.random.default_rng(actor.seed)
    corners = street.corners(rng, (float(x) - 0.5, float(y) - 0.5), size, conditions)
    unit = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)
    # Edges of pixels lie half a pixel from their centres.
    matrix = cv2.getPerspectiveTransform(unit, corners + np.float32(0.5))
    outline = cv2.perspectiveTransform(np.array(actor.plate.outline, np.float32)[None], matrix)
    return _Plate(actor, corners, np.asarray(outline[0], np.float32), size)


def _paint(canvas: UInt8Array, plate: _Plate, conditions: Conditions) -> None:
    low = np.maximum(np.floor(plate.corners.min(axis=0)).astype(int) - 1, 0)
    high = np.maximum(np.ceil(plate.corners.max(axis=0)).astype(int) + 2, 0)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    if part.size:
        rng = np.random.default_rng([*plate.actor.seed, 1])
        face = street.weather(rng, plate.actor.plate.face(plate.size), conditions)
        street.paste(part, face, plate.corners - low.astype(np.float32))


def _expose(
    seed: int, canvas: UInt8Array, conditions: Conditions, noise: np.random.Generator
) -> UInt8Array:
    """The photograph of a frame: the same light and lens all through a film, noise anew."""
    rng = np.random.default_rng([seed, 3])
    light = camera.expose(rng, canvas, replace(conditions, noise=0.0)).astype(np.float32)
    light += noise.standard_normal(light.shape, np.float32) * np.float32(conditions.noise / 2)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def _truths(plates: list[_Plate], hidden: npt.NDArray[np.bool_]) -> tuple[Truth, ...]:
    """What of each sign can be seen, from the front plate to the one behind all others."""
    free = ~hidden
    height, width = free.shape
    found = []
    for actor, _, outline, _ in reversed(plates):
        mask = np.zeros(free.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint((outline - 0.5) * 16).astype(np.int32)], 1, shift=4)
        covered = mask.astype(np.bool_)
        seen = float((covered & free).sum()) / max(cv2.contourArea(outline), 1.0)
        free &= ~covered
        (x1, y1), (x2, y2) = np.clip(
            [outline.min(axis=0), outline.max(axis=0)], 0, (width, height)
        ).tolist()
        if actor.label >= 0 and x2 > x1 and y2 > y1:
            found.append(Truth(actor.number, actor.label, (x1, y1, x2, y2), min(seen, 1.0)))
    return tuple(found[::-1])
