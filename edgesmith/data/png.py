"""Images that no file holds yet, as PNG bytes."""

from __future__ import annotations

import cv2
import numpy as np

from edgesmith.preprocess import UInt8Array


def encode_png(image: UInt8Array) -> bytes:
    """An (H, W, 3) uint8 RGB image as the bytes of a PNG file."""
    pixels = np.ascontiguousarray(image[:, :, ::-1])
    _, content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return bytes(content.tobytes())
