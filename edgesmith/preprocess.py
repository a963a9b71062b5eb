"""THE preprocessing: from an image file to the network's input.

Training, calibration, evaluation and the device call these functions and no others, so that a model
never sees on the device what it was not trained on. numpy and OpenCV only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from edgesmith.errors import ContractError, DataError

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

# One thread: results must not depend on how OpenCV splits an image, and the runtimes own the cores.
cv2.setNumThreads(1)

_INTERPOLATION = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}

Positive = Annotated[float, Field(gt=0)]


class Preprocess(BaseModel):
    """How an image becomes the network's input; travels in `contract.json` with every artifact.

    `mean` and `std` are in units of 0–255. `crop_fraction` is the share of the shorter side that
    the centre crop keeps (0.875 for most ImageNet models). `letterbox` keeps the aspect ratio and
    fills the rest with grey of `fill`. `antialias: false` samples without a low-pass filter when
    shrinking, as Ultralytics' networks are trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(gt=0, le=4096)
    width: int = Field(gt=0, le=4096)
    resize: Literal["stretch", "center-crop", "letterbox"] = "stretch"
    crop_fraction: float = Field(default=1.0, gt=0, le=1)
    fill: int = Field(default=114, ge=0, le=255)
    interpolation: Literal["nearest", "bilinear", "bicubic", "area"] = "bilinear"
    antialias: bool = True
    colour: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]


class Letterbox(NamedTuple):
    """Where an image lies in its letterbox, and boxes between the two.

    `scale` is (x, y): whole pixels make the two differ by less than a pixel over the image, and
    by that much a box would be off if one factor served for both. `left` and `top` are the
    widths of the border, `width` and `height` the size of the picture inside it, all in pixels.
    """

    scale: tuple[float, float]
    left: int
    top: int
    width: int
    height: int

    def apply(self, boxes: Float32Array) -> Float32Array:
        """(n, 4) x1 y1 x2 y2 in pixels of the original image to pixels of the letterbox."""
        factor, offset = self._factor_and_offset()
        return (np.asarray(boxes, np.float64) * factor + offset).astype(np.float32)

    def undo(self, boxes: Float32Array, height: int, width: int) -> Float32Array:
        """(n, 4) in pixels of the letterbox to the original image, clipped to its size."""
        factor, offset = self._factor_and_offset()
        original = (np.asarray(boxes, np.float64) - offset) / factor
        return np.clip(original, 0, (width, height, width, height)).astype(np.float32)

    def _factor_and_offset(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        factor = np.tile(np.asarray(self.scale, np.float64), 2)
        return factor, np.tile(np.asarray((self.left, self.top), np.float64), 2)


def letterbox_geometry(height: int, width: int, spec: Preprocess) -> Letterbox:
    """Where `fit` puts an image of `height` × `width` pixels.

    The rounding is that of Ultralytics' LetterBox (auto off, centred, enlarging allowed), so that
    a network sees pixel for pixel what it was trained on. Raises ContractError when
    `spec.resize` is another rule.
    """
    if spec.resize != "letterbox":
        raise ContractError(
            f"preprocess.resize is {spec.resize!r}; boxes come back from a letterbox alone: "
            "set `resize: letterbox` for a detector and export it again"
        )
    ratio = min(spec.height / height, spec.width / width)
    inner_height, inner_width = max(round(height * ratio), 1), max(round(width * ratio), 1)
    return Letterbox(
        scale=(inner_width / width, inner_height / height),
        # An odd pixel of border goes to the right and to the bottom.
        left=(spec.width - inner_width) // 2,
        top=(spec.height - inner_height) // 2,
        width=inner_width,
        height=inner_height,
    )


def decode_image(content: bytes, name: str) -> UInt8Array:
    """Decode an encoded image (JPEG, PNG, BMP, WebP …) to (H, W, 3) uint8 RGB.

    EXIF orientation is applied; grey images become three equal channels; alpha is dropped.
    Raises DataError naming `name` when the content is not an image or is truncated.
    """
    if not content:
        raise DataError(f"{name}: the file is empty; replace it or remove it from the dataset")
    _refuse_truncated(content, name)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"{name}: OpenCV cannot decode this image ({error.err})") from error
    if image is None:
        raise DataError(
            f"{name}: not an image that OpenCV can decode; "
            "convert it to JPEG or PNG, or remove it from the dataset"
        )
    return np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)


def read_image(path: Path) -> UInt8Array:
    """Read and decode an image file to (H, W, 3) uint8 RGB; DataError when it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return decode_image(content, str(path))


def fit(image: UInt8Array, spec: Preprocess) -> UInt8Array:
    """(H, W, 3) uint8 RGB to (height, width, 3) uint8 in `spec.colour` order, by `spec.resize`."""
    if spec.resize == "letterbox":
        image = _letterbox(image, spec)
    else:
        if spec.resize == "center-crop":
            image = _center_crop(image, spec)
        image = _resize(image, spec.height, spec.width, spec)
    return image if spec.colour == "RGB" else np.ascontiguousarray(image[:, :, ::-1])


def normalise(images: UInt8Array, spec: Preprocess) -> Float32Array:
    """(N, H, W, 3) uint8 in `spec.colour` order to (N, 3, H, W) float32: (pixel - mean) / std."""
    scale = (1.0 / np.asarray(spec.std, np.float64)).astype(np.float32)
    shift = (-np.asarray(spec.mean, np.float64) / np.asarray(spec.std, np.float64)).astype(
        np.float32
    )
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    channels_first *= scale[None, :, None, None]
    channels_first += shift[None, :, None, None]
    return channels_first


def prepare(images: list[UInt8Array], spec: Preprocess) -> Float32Array:
    """Decoded (H, W, 3) uint8 RGB images of any size to one (N, 3, height, width) float32 batch."""
    return normalise(np.stack([fit(image, spec) for image in images]), spec)


def _resize(image: UInt8Array, height: int, width: int, spec: Preprocess) -> UInt8Array:
    """The image at another size; itself where it has that size."""
    if image.shape[:2] == (height, width):
        return image
    shrinking = image.shape[0] > height or image.shape[1] > width
    # Bilinear and bicubic of OpenCV sample without a low-pass filter and alias when shrinking;
    # area averaging is what Pillow's antialiased filters come closest to.
    smooth = shrinking and spec.antialias and spec.interpolation != "nearest"
    rule = "area" if smooth else spec.interpolation
    resized = cv2.resize(image, (width, height), interpolation=_INTERPOLATION[rule])
    return np.asarray(resized, dtype=np.uint8)


def _letterbox(image: UInt8Array, spec: Preprocess) -> UInt8Array:
    """The whole image in the middle, its aspect ratio kept, grey of `fill` around it."""
    rows, columns = image.shape[:2]
    inner = letterbox_geometry(rows, columns, spec)
    picture = _resize(image, inner.height, inner.width, spec)
    if picture.shape[:2] == (spec.height, spec.width):
        return picture
    result = np.full((spec.height, spec.width, 3), spec.fill, np.uint8)
    result[inner.top : inner.top + inner.height, inner.left : inner.left + inner.width] = picture
    return result


def _center_crop(image: UInt8Array, spec: Preprocess) -> UInt8Array:
    """The largest centred window of the target's aspect ratio, times `crop_fraction`."""
    rows, columns = image.shape[:2]
    unit = min(rows / spec.height, columns / spec.width) * spec.crop_fraction
    crop_rows = max(1, min(rows, round(spec.height * unit)))
    crop_columns = max(1, min(columns, round(spec.width * unit)))
    top, left = (rows - crop_rows) // 2, (columns - crop_columns) // 2
    return image[top : top + crop_rows, left : left + crop_columns]


def _refuse_truncated(content: bytes, name: str) -> None:
    """OpenCV fills the missing part of a cut JPEG or PNG with grey and reports nothing."""
    tail = content[-64:].rstrip(b"\0\r\n ")
    if content.startswith(b"\xff\xd8") and b"\xff\xd9" not in content[-4096:]:
        raise DataError(f"{name}: truncated JPEG (no end-of-image marker); fetch the file again")
    if content.startswith(b"\x89PNG") and b"IEND" not in tail:
        raise DataError(f"{name}: truncated PNG (no IEND chunk); fetch the file again")
