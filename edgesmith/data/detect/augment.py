"""Random changes of training images with boxes: mosaic, place, size, mirror, colour.

Drawn once and applied at any resolution, as in `augment`: lengths are shares of the image's sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.data.detect.store import Scenes
from edgesmith.params import Augment
from edgesmith.preprocess import Float32Array, UInt8Array

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Where the four parts of a mosaic meet, as shares of the sides: each keeps a quarter of its own.
_MEET = (0.25, 0.75)
# Of a box that an edge cuts this share of its area has to remain, and this many pixels each way.
_LEAST_AREA = 0.2
_LEAST_PIXELS = 2.0


@dataclass(frozen=True, eq=False)
class BoxChanges:
    """One change per image of a batch.

    `mosaic` (N,): made of four, itself and `partners` (N, 3), places in the dataset; their parts
    meet at `meet` (N, 2), in shares of width and height. `zoom` (N, 4): factor of each part; an
    image alone has the first, about its middle. `flip` (N, 4): mirrored left to right. `shift`
    (N, 2): right and down, of images alone. `hue` (N,): turned by a share of the circle.
    `saturation` (N,): factor. `brightness` (N,): added, in shares of 255. `contrast` (N,): factor
    about mid-grey.
    """

    mosaic: BoolArray
    partners: Int64Array
    meet: Float64Array
    zoom: Float64Array
    flip: BoolArray
    shift: Float64Array
    hue: Float64Array
    saturation: Float64Array
    brightness: Float64Array
    contrast: Float64Array

    def __len__(self) -> int:
        return len(self.mosaic)


@dataclass(frozen=True, eq=False)
class Changed:
    """Changed images (N, H, W, 3) uint8, and per image boxes (n, 4) float32 x1 y1 x2 y2 in pixels.

    `classes`: per image (n,) int64.
    """

    images: UInt8Array
    boxes: list[Float32Array]
    classes: list[Int64Array]


@dataclass(frozen=True)
class _Part:
    """A rectangle of the result and how an image gets there: out = zoom * in + offset, in edges."""

    left: int
    top: int
    right: int
    bottom: int
    zoom: float
    across: float
    down: float


def draw(rng: np.random.Generator, count: int, rule: Augment, images: int) -> BoxChanges:
    """Changes for `count` images of a dataset of `images`, uniform within the rule's ranges.

    The generator advances by the same amount whatever the rule allows.
    """
    mosaic = rng.random(count) < rule.mosaic
    partners = rng.integers(0, images, (count, 3))
    meet = rng.uniform(*_MEET, (count, 2))
    zoom = 1.0 + rng.uniform(-1, 1, (count, 4)) * rule.scale
    flip = rng.random((count, 4)) < (0.5 if rule.flip else 0.0)
    shift = rng.uniform(-1, 1, (count, 2)) * rule.shift
    hue = rng.uniform(-1, 1, count) * rule.hue
    saturation = 1.0 + rng.uniform(-1, 1, count) * rule.saturation
    brightness = rng.uniform(-1, 1, count) * rule.brightness
    contrast = 1.0 + rng.uniform(-1, 1, count) * rule.contrast
    return BoxChanges(
        mosaic, partners, meet, zoom, flip, shift, hue, saturation, brightness, contrast
    )


def apply(
    scenes: Scenes,
    chosen: Int64Array,
    changes: BoxChanges,
    fill: int,
    mirrored: Int64Array | None = None,
) -> Changed:
    """The images `chosen` (N,) of `scenes` with their changes; `fill` is where no image reaches.

    `mirrored` (classes,) gives the class that each is in a mirror ("turn left" is "turn right");
    without it all stay what they are. Boxes are cut at the border of their part; those of which
    little remains are left out, although a bit of the object is still seen. Raises ValueError
    unless there is one change per image.
    """
    if len(chosen) != len(changes):
        raise ValueError(f"{len(changes)} changes for {len(chosen)} images")
    rows, columns = scenes.images.shape[1:3]
    images = np.full((len(chosen), rows, columns, 3), fill, np.uint8)
    boxes, classes = [], []
    for place, number in enumerate(chosen.tolist()):
        if changes.mosaic[place]:
            numbers = [number, *changes.partners[place].tolist()]
            parts = _quarters(changes, place, rows, columns)
        else:
            numbers, parts = [number], [_whole(changes, place, rows, columns)]
        found_boxes, found_classes = [], []
        for source, part, flip in zip(numbers, parts, changes.flip[place].tolist(), strict=False):
            _put(images[place], scenes.images[source], part, fill, flip)
            moved, kept = _move(scenes.boxes[source], part, columns, flip)
            own = scenes.classes[source][kept]
            found_boxes.append(moved)
            found_classes.append(mirrored[own] if flip and mirrored is not None else own)
        boxes.append(np.concatenate(found_boxes))
        classes.append(np.concatenate(found_classes))
        _colour(images[place], changes, place)
    return Changed(images, boxes, classes)


def _whole(changes: BoxChanges, place: int, rows: int, columns: int) -> _Part:
    zoom = float(changes.zoom[place, 0])
    right, down = changes.shift[place]
    across, below = (0.5 + right - zoom / 2) * columns, (0.5 + down - zoom / 2) * rows
    return _Part(0, 0, columns, rows, zoom, float(across), float(below))


def _quarters(changes: BoxChanges, place: int, rows: int, columns: int) -> list[_Part]:
    """Four parts, each with a corner of its image where they meet."""
    x, y = (round(v) for v in (changes.meet[place] * (columns, rows)).tolist())
    parts = []
    for number, zoom in enumerate(changes.zoom[place].tolist()):
        below, beside = divmod(number, 2)
        left, right = (x, columns) if beside else (0, x)
        top, bottom = (y, rows) if below else (0, y)
        across = x if beside else x - zoom * columns
        down = y if below else y - zoom * rows
        parts.append(_Part(left, top, right, bottom, zoom, across, down))
    return parts


def _put(result: UInt8Array, image: UInt8Array, part: _Part, fill: int, flip: bool) -> None:
    """Draw an image into its part of the result."""
    # Pixel centres lie half a pixel inside the edges.
    offset = 0.5 * part.zoom - 0.5
    across, down = part.across + offset - part.left, part.down + offset - part.top
    mirror = part.zoom
    if flip:
        across, mirror = across + part.zoom * (image.shape[1] - 1), -part.zoom
    result[part.top : part.bottom, part.left : part.right] = cv2.warpAffine(
        image,
        np.array([(mirror, 0.0, across), (0.0, part.zoom, down)]),
        (part.right - part.left, part.bottom - part.top),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill, fill, fill),
    )


def _move(
    boxes: Float32Array, part: _Part, columns: int, flip: bool
) -> tuple[Float32Array, BoolArray]:
    """The boxes that remain in the part, and which of the given ones they are."""
    moved = boxes.astype(np.float64)
    if flip:
        moved[:, [0, 2]] = columns - moved[:, [2, 0]]
    moved = moved * part.zoom + (part.across, part.down, part.across, part.down)
    whole = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    low, high = (part.left, part.top), (part.right, part.bottom)
    cut = np.clip(moved, (*low, *low), (*high, *high))
    wide, tall = cut[:, 2] - cut[:, 0], cut[:, 3] - cut[:, 1]
    kept = (wide * tall >= _LEAST_AREA * whole) & (np.minimum(wide, tall) >= _LEAST_PIXELS)
    return cut[kept].astype(np.float32), kept


def _colour(image: UInt8Array, changes: BoxChanges, place: int) -> None:
    """Change hue, saturation, brightness and contrast in place; values saturate."""
    hue, saturation = changes.hue[place], changes.saturation[place]
    if hue != 0 or saturation != 1:
        levels = np.arange(256, dtype=np.float64)
        table = np.stack([(levels + 256 * hue) % 256, levels * saturation, levels], axis=1)
        table = np.clip(table, 0, 255)[None].astype(np.uint8)
        # _FULL: 256 hues and not 180, so that a byte wraps where the circle does.
        turned = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), table)
        cv2.cvtColor(turned, cv2.COLOR_HSV2RGB_FULL, dst=image)
    factor, added = changes.contrast[place], changes.brightness[place]
    if factor != 1 or added != 0:
        offset = 127.5 * (1.0 - factor) + 255.0 * added
        cv2.addWeighted(image, factor, image, 0.0, offset, dst=image)
