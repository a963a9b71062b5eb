from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from edgesmith.data.classify.augment import Changes, apply, draw
from edgesmith.params import Augment
from edgesmith.preprocess import UInt8Array

ALL = Augment(flip=True, shift=0.1, scale=0.1, brightness=0.1, contrast=0.2)


@pytest.fixture
def images() -> UInt8Array:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)
    smooth = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_CUBIC) for image in coarse]
    return np.stack(smooth).astype(np.uint8)


def still(count: int) -> Changes:
    return draw(np.random.default_rng(0), count, Augment())


def test_no_rule_changes_nothing(images: UInt8Array) -> None:
    assert np.array_equal(apply(images, still(len(images))), images)


def test_the_same_seed_draws_the_same_changes(images: UInt8Array) -> None:
    first, again = (draw(np.random.default_rng(5), 6, ALL) for _ in range(2))

    assert np.array_equal(apply(images, first), apply(images, again))
    assert not np.array_equal(apply(images, first), images)


def test_what_a_rule_forbids_does_not_move_the_other_draws() -> None:
    whole = draw(np.random.default_rng(5), 6, ALL)
    part = draw(np.random.default_rng(5), 6, Augment(contrast=0.2))

    assert np.array_equal(whole.contrast, part.contrast)
    assert not part.flip.any()


def test_one_change_means_the_same_at_two_resolutions(images: UInt8Array) -> None:
    changes = draw(np.random.default_rng(2), len(images), ALL)
    half = np.stack([cv2.resize(i, (32, 32), interpolation=cv2.INTER_AREA) for i in images])
    large = apply(images, changes)
    small = apply(half.astype(np.uint8), changes)
    shrunk = np.stack([cv2.resize(i, (32, 32), interpolation=cv2.INTER_AREA) for i in large])

    assert np.abs(shrunk.astype(float) - small).mean() < 2.5


def test_a_flip_is_an_exact_mirror(images: UInt8Array) -> None:
    count = len(images)
    base = still(count)
    flipped = Changes(
        base.shift, base.scale, np.ones(count, np.bool_), base.brightness, base.contrast
    )

    assert np.array_equal(apply(images, flipped), images[:, :, ::-1])


def test_shift_and_brightness_have_the_documented_units(images: UInt8Array) -> None:
    count = len(images)
    base = still(count)
    moved = Changes(
        np.full((count, 2), (0.25, 0.0)), base.scale, base.flip, base.brightness, base.contrast
    )
    lit = Changes(base.shift, base.scale, base.flip, np.full(count, 0.2), base.contrast)

    assert np.array_equal(apply(images, moved)[:, :, 16:], images[:, :, :48])
    assert np.array_equal(
        apply(images, lit), np.minimum(images.astype(int) + 51, 255).astype(np.uint8)
    )


def test_as_many_changes_as_images_are_needed(images: UInt8Array) -> None:
    with pytest.raises(ValueError, match="5 changes for 6 images"):
        apply(images, still(5))


def test_an_image_is_changed_in_a_fraction_of_a_millisecond(images: UInt8Array) -> None:
    many = np.tile(images, (20, 1, 1, 1))
    changes = draw(np.random.default_rng(2), len(many), ALL)
    apply(images, still(6))
    begin = time.process_time()
    apply(many, changes)

    assert (time.process_time() - begin) / len(many) < 0.0015
