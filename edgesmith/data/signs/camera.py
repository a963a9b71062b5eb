"""What light and camera do to a scene: shade, exposure, haze, blur, noise."""

from __future__ import annotations

import cv2
import numpy as np

from edgesmith.data.signs.conditions import Conditions
from edgesmith.preprocess import Float32Array, UInt8Array


def expose(rng: np.random.Generator, scene: UInt8Array, conditions: Conditions) -> UInt8Array:
    """The (H, W, 3) uint8 photograph of a scene under random light, lens and sensor."""
    light = _blurred(rng, scene, conditions.blur).astype(np.float32)
    light *= _shading(rng, scene.shape[0], scene.shape[1], conditions.shade)
    haze = rng.uniform(0, conditions.contrast_loss)
    light += (rng.uniform(60, 190) - light) * haze
    light *= np.exp2(rng.uniform(-1.3, 0.5) * conditions.exposure)
    light *= (1.0 + rng.uniform(-0.15, 0.15, 3) * conditions.exposure).astype(np.float32)
    strength = rng.uniform(0.3, 1.0) * conditions.noise
    light += rng.standard_normal(light.shape, np.float32) * np.float32(strength)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def _shading(rng: np.random.Generator, rows: int, columns: int, depth: float) -> Float32Array:
    """(H, W, 1) factors: light that falls off to one side, and the edge of a shadow."""
    angle = rng.uniform(0, 2 * np.pi)
    down, across = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    slope = across * np.cos(angle) + down * np.sin(angle)
    factors = 1.0 + slope * 0.5 * rng.uniform(0, depth)
    if rng.random() < depth * 0.7:
        edge, dark = rng.uniform(-0.7, 0.7), rng.uniform(0.3, 0.8)
        factors = np.where(slope > edge, factors * dark, factors)
    return np.asarray(factors[:, :, None], dtype=np.float32)


def _blurred(rng: np.random.Generator, scene: UInt8Array, strength: float) -> UInt8Array:
    """Out of focus, or moved while the shutter was open; `strength` is a share of the side."""
    reach = rng.uniform(0, strength) * scene.shape[0]
    if reach < 0.3:
        return scene
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(scene, (0, 0), reach / 2), dtype=np.uint8)
    angle = rng.uniform(0, np.pi)
    radius = int(np.ceil(reach))
    steps = np.linspace(-reach, reach, 4 * radius + 1)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    columns = np.rint(steps * np.cos(angle)).astype(int) + radius
    rows = np.rint(steps * np.sin(angle)).astype(int) + radius
    np.add.at(kernel, (rows, columns), 1.0 / len(steps))
    return np.asarray(cv2.filter2D(scene, -1, kernel), dtype=np.uint8)
