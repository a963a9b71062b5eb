from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgesmith.errors import ContractError, DataError
from edgesmith.preprocess import (
    Preprocess,
    decode_image,
    fit,
    letterbox_geometry,
    normalise,
    prepare,
    read_image,
)

SPEC = Preprocess(height=8, width=12, mean=(127, 116, 104), std=(58, 57, 128))


BOX = Preprocess(
    height=64, width=64, resize="letterbox", antialias=False, mean=(0, 0, 0), std=(255, 255, 255)
)


def noise(rows: int, columns: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def encoded(suffix: str, rows: int = 40, columns: int = 50) -> bytes:
    return cv2.imencode(suffix, noise(rows, columns))[1].tobytes()


sides = st.integers(1, 70)


@settings(deadline=None, max_examples=150)
@given(
    rows=sides,
    columns=sides,
    spec=st.builds(
        Preprocess,
        height=sides,
        width=sides,
        resize=st.sampled_from(["stretch", "center-crop", "letterbox"]),
        antialias=st.booleans(),
        crop_fraction=st.floats(0.05, 1),
        interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "area"]),
        colour=st.sampled_from(["RGB", "BGR"]),
        mean=st.tuples(*[st.floats(0, 255)] * 3),
        std=st.tuples(*[st.floats(1, 255)] * 3),
    ),
)
def test_any_image_becomes_the_size_that_is_asked_for(
    rows: int, columns: int, spec: Preprocess
) -> None:
    image = noise(rows, columns)
    before = image.copy()
    fitted = fit(image, spec)
    batch = prepare([image, image], spec)

    assert fitted.shape == (spec.height, spec.width, 3)
    assert fitted.dtype == np.uint8
    assert batch.shape == (2, 3, spec.height, spec.width)
    assert batch.dtype == np.float32
    assert np.isfinite(batch).all()
    assert np.array_equal(image, before)


@settings(deadline=None, max_examples=50)
@given(
    spec=st.builds(
        Preprocess,
        mean=st.just((1.0, 2.0, 3.0)),
        std=st.just((4.0, 5.0, 6.0)),
        height=st.integers(1, 4096),
        width=st.integers(1, 4096),
    )
)
def test_a_preprocess_survives_json(spec: Preprocess) -> None:
    assert Preprocess.model_validate_json(spec.model_dump_json()) == spec


def test_normalise_is_pixel_minus_mean_over_std_per_channel() -> None:
    image = noise(8, 12)
    batch = normalise(image[None], SPEC)

    expected = (image.astype(np.float64) - SPEC.mean) / SPEC.std
    assert np.allclose(batch[0], expected.transpose(2, 0, 1), atol=1e-5)


def test_an_image_of_the_right_size_is_not_resampled() -> None:
    image = noise(8, 12)

    assert np.array_equal(fit(image, SPEC), image)
    assert np.array_equal(fit(image, SPEC.model_copy(update={"colour": "BGR"})), image[:, :, ::-1])


def test_a_centre_crop_keeps_the_middle_and_the_proportions() -> None:
    image = np.zeros((40, 100, 3), np.uint8)
    image[:, 30:70] = 200
    square = SPEC.model_copy(update={"height": 20, "width": 20, "resize": "center-crop"})

    assert (fit(image, square) == 200).all()
    assert not (fit(image, square.model_copy(update={"resize": "stretch"})) == 200).all()


def test_shrinking_averages_and_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    spec = SPEC.model_copy(update={"height": 16, "width": 16})

    assert (fit(stripes, spec) == 100).all()


def test_sampling_without_a_filter_takes_pixels_as_they_are() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    spec = SPEC.model_copy(
        update={"height": 16, "width": 16, "antialias": False, "interpolation": "nearest"}
    )

    assert (fit(stripes, spec) == 200).all()
    bilinear = spec.model_copy(update={"interpolation": "bilinear"})
    columns = np.zeros((64, 64, 3), np.uint8)
    columns[:, 2::4] = 90
    # Between the two pixels in the middle of four, and not the mean of all four.
    assert (fit(columns, bilinear) == 45).all()


def test_a_letterbox_keeps_the_proportions_and_fills_with_grey() -> None:
    fitted = fit(np.full((20, 41, 3), 200, np.uint8), BOX.model_copy(update={"fill": 7}))
    inner = letterbox_geometry(20, 41, BOX)

    assert (inner.left, inner.top, inner.width, inner.height) == (0, 16, 64, 31)
    assert (fitted[16:47] == 200).all()
    assert (fitted[:16] == 7).all() and (fitted[47:] == 7).all()


@settings(deadline=None, max_examples=100)
@given(rows=st.integers(1, 300), columns=st.integers(1, 300))
def test_a_letterbox_is_that_of_ultralytics_pixel_for_pixel(rows: int, columns: int) -> None:
    import edgesmith.tasks.detect  # noqa: F401, PLC0415 (keeps Ultralytics off the net)

    augment = pytest.importorskip("ultralytics.data.augment", reason="needs the extra `detect`")
    image = noise(rows, columns)
    expected = augment.LetterBox((64, 64), auto=False, scaleup=True, center=True)(image=image)

    assert np.array_equal(fit(image, BOX), expected)


@given(rows=st.integers(1, 3000), columns=st.integers(1, 3000), seed=st.integers(0, 9))
def test_boxes_come_back_from_the_letterbox(rows: int, columns: int, seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(0, (columns, rows), (5, 2, 2))
    boxes = np.sort(corners, axis=1).reshape(5, 4).astype(np.float32)
    inner = letterbox_geometry(rows, columns, BOX)
    fitted = inner.apply(boxes)

    assert (fitted >= -1e-3).all() and (fitted <= 64 + 1e-3).all()
    # float32 holds a pixel of the letterbox to 4e-6; that many times the ratio in the image.
    np.testing.assert_allclose(inner.undo(fitted, rows, columns), boxes, atol=1e-3, rtol=1e-5)


def test_boxes_of_the_whole_image_span_the_picture_and_come_back_clipped() -> None:
    inner = letterbox_geometry(20, 41, BOX)
    whole = np.array([[0, 0, 41, 20]], np.float32)

    assert inner.apply(whole).tolist() == [[0, 16, 64, 47]]
    assert inner.undo(np.array([[-5, 0, 80, 64]], np.float32), 20, 41).tolist() == whole.tolist()
    assert inner.undo(np.zeros((0, 4), np.float32), 20, 41).shape == (0, 4)


def test_boxes_do_not_come_back_from_another_fit() -> None:
    with pytest.raises(ContractError, match=r"resize is 'stretch'; .* set `resize: letterbox`"):
        letterbox_geometry(20, 41, SPEC)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
def test_decoding_gives_rgb(suffix: str) -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[:, :, 2] = 255  # OpenCV writes BGR
    image = decode_image(cv2.imencode(suffix, red)[1].tobytes(), "red")

    assert np.abs(image.astype(int) - (255, 0, 0)).max() < 20


def test_grey_images_get_three_equal_channels() -> None:
    content = cv2.imencode(".png", noise(9, 9)[:, :, 0])[1].tobytes()
    image = decode_image(content, "grey")

    assert image.shape == (9, 9, 3)
    assert (image[:, :, 0] == image[:, :, 2]).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_truncated_image_is_refused(suffix: str, share: float) -> None:
    content = encoded(suffix)

    with pytest.raises(DataError, match=r"x/y: truncated .*fetch the file again"):
        decode_image(content[: int(len(content) * share)], "x/y")


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xd9", b"GIF89a nothing", b"\0" * 500])
def test_what_is_not_an_image_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="x/y: "):
        decode_image(content, "x/y")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.png: cannot be read \(No such file"):
        read_image(tmp_path / "no.png")


@pytest.mark.parametrize(
    "fault",
    [{"height": 0}, {"width": 5000}, {"std": (0, 1, 1)}, {"crop_fraction": 1.5}, {"gamma": 2}],
)
def test_an_impossible_preprocess_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fault))):
        Preprocess.model_validate({**SPEC.model_dump(), **fault})
