"""The image of the end-to-end figure: what a camera delivers."""

from __future__ import annotations

import cv2
import numpy as np


def camera_frame(width: int = 640, height: int = 480) -> bytes:
    """A JPEG of a deterministic scene with the detail of a photograph (37 kB at 640×480).

    Decoding and resizing cost what size and detail cost, whatever is to be seen; one frame for all
    models and datasets keeps their end-to-end figures comparable.
    """
    random = np.random.default_rng(0)
    scene = np.zeros((height, width, 3), np.float32)
    # Octaves of noise fall off as 1/f, as the spectra of natural images do.
    for octave in range(2, 9):
        rows, columns = max(2, height >> (9 - octave)), max(2, width >> (9 - octave))
        layer = random.standard_normal((rows, columns, 3)).astype(np.float32)
        scene += cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    scene = 127 + 50 * scene / scene.std()
    image = np.clip(scene, 0, 255).astype(np.uint8)
    ok, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not ok:
        raise RuntimeError("OpenCV was built without a JPEG encoder")
    return encoded.tobytes()
