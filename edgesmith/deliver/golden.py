"""The golden image of an artifact: run, written, and compared with what was published."""

from __future__ import annotations

import io
import math
from pathlib import Path

import cv2
import numpy as np

from edgesmith.deliver.errors import SelfTestError
from edgesmith.preprocess import Float32Array, UInt8Array, decode_image, fit
from edgesmith.runtimes import session as runtimes
from edgesmith.runtimes.session import Session

_SAME_DB = 200.0


def image_of(image: UInt8Array, session: Session) -> bytes:
    """A PNG of (H, W, 3) uint8 RGB as the network of `session` takes it."""
    fitted = fit(image, session.contract.input.preprocess)
    _, encoded = cv2.imencode(".png", fitted[:, :, ::-1])
    return encoded.tobytes()


def run(session: Session, image: bytes, name: str) -> Float32Array:
    """What the network says of an image that `image_of` wrote."""
    pixels = decode_image(image, name)
    spec = session.contract.input.preprocess
    if pixels.shape != (spec.height, spec.width, 3):
        raise SelfTestError(
            f"{name}: {pixels.shape[1]}×{pixels.shape[0]} pixels, and the network takes "
            f"{spec.width}×{spec.height}; publish again"
        )
    return runtimes.predict(session, pixels[None])


def encode(output: Float32Array) -> bytes:
    """An .npy of an array."""
    stream = io.BytesIO()
    np.save(stream, output, allow_pickle=False)
    return stream.getvalue()


def decode(path: Path) -> Float32Array:
    """The array in an .npy file; nothing but numbers is ever unpacked."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as fault:
        raise SelfTestError(f"{path}: not an array of numbers ({fault}); publish again") from fault
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        raise SelfTestError(f"{path}: not an array of float32; publish again")
    return array


def sqnr_db(given: Float32Array, expected: Float32Array) -> float:
    """Power of what was expected over that of the difference, in dB from -200 to 200.

    -200 where the shapes differ or a value is no number.
    """
    if given.shape != expected.shape or not np.isfinite(given).all():
        return -_SAME_DB
    wanted = expected.astype(np.float64)
    noise = float(np.square(given - wanted).sum())
    if noise == 0:
        return _SAME_DB
    signal = max(float(np.square(wanted).sum()), 1e-300)
    return max(-_SAME_DB, min(_SAME_DB, 10 * math.log10(signal / noise)))
