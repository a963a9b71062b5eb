"""Random changes of training images, drawn once and applied at any resolution.

A teacher may look at another size than its student: lengths are shares of the image's side, so that
both see the same change of the same image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgesmith.params import Augment
from edgesmith.preprocess import UInt8Array

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Changes:
    """One change per image of a batch.

    `shift` (N, 2): right and down, in shares of width and height. `scale` (N,): zoom factor about
    the middle. `flip` (N,): mirrored left to right. `brightness` (N,): added, in shares of 255.
    `contrast` (N,): factor about mid-grey.
    """

    shift: Float64Array
    scale: Float64Array
    flip: npt.NDArray[np.bool_]
    brightness: Float64Array
    contrast: Float64Array

    def __len__(self) -> int:
        return len(self.scale)


def draw(rng: np.random.Generator, count: int, rule: Augment) -> Changes:
    """Changes for `count` images, uniform within the rule's ranges.

    The generator advances by the same amount whatever the rule allows.
    """
    shift = rng.uniform(-1, 1, (count, 2)) * rule.shift
    scale = 1.0 + rng.uniform(-1, 1, count) * rule.scale
    flip = rng.random(count) < (0.5 if rule.flip else 0.0)
    brightness = rng.uniform(-1, 1, count) * rule.brightness
    contrast = 1.0 + rng.uniform(-1, 1, count) * rule.contrast
    return Changes(shift, scale, flip, brightness, contrast)


def apply(images: UInt8Array, changes: Changes) -> UInt8Array:
    """(N, H, W, 3) uint8 images with their changes; borders reflect, values saturate.

    Raises ValueError unless there is one change per image.
    """
    if len(images) != len(changes):
        raise ValueError(f"{len(changes)} changes for {len(images)} images")
    changed = np.empty_like(images)
    rows, columns = images.shape[1:3]
    for place, image in enumerate(images):
        across, down = changes.shift[place] * (columns, rows)
        zoom = changes.scale[place]
        mirror = -zoom if changes.flip[place] else zoom
        # Pixel centres lie at whole numbers, so the middle of a 64-pixel side is 31.5.
        middle_x, middle_y = (columns - 1) / 2, (rows - 1) / 2
        matrix = np.array(
            [
                (mirror, 0.0, middle_x - mirror * middle_x + across),
                (0.0, zoom, middle_y - zoom * middle_y + down),
            ]
        )
        moved = cv2.warpAffine(
            image,
            matrix,
            (columns, rows),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        factor = changes.contrast[place]
        offset = 127.5 * (1.0 - factor) + 255.0 * changes.brightness[place]
        cv2.addWeighted(moved, factor, moved, 0.0, offset, dst=changed[place])
    return changed
