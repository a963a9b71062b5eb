from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from edgesmith.data.detect.augment import BoxChanges, Changed, apply, draw
from edgesmith.data.detect.store import Scenes
from edgesmith.data.scenes.generate import scene
from edgesmith.params import Augment
from edgesmith.preprocess import UInt8Array

ALL = Augment(
    flip=True,
    shift=0.2,
    scale=0.4,
    brightness=0.1,
    contrast=0.2,
    hue=0.05,
    saturation=0.5,
    mosaic=0.6,
)
SIDE = 64


@pytest.fixture
def blocks() -> Scenes:
    """Eight dark images, each with two bright rectangles of its own, which are its objects."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (8, SIDE, SIDE, 3), dtype=np.uint8)
    boxes, classes = [], []
    for image in images:
        own = []
        for left in (2, 34):
            x, y = left + rng.integers(0, 8), rng.integers(0, 40)
            w, h = rng.integers(12, 20, 2)
            image[y : y + h, x : x + w] = 250
            own.append((x, y, x + w, y + h))
        boxes.append(np.array(own, np.float32))
        classes.append(np.array([0, 1], np.int64))
    sizes = np.full((8, 2), SIDE, np.int64)
    return Scenes(images, boxes, classes, sizes, [str(k) for k in range(8)])


def still(count: int) -> BoxChanges:
    return draw(np.random.default_rng(0), count, Augment(), 8)


def run(scenes: Scenes, changes: BoxChanges) -> Changed:
    return apply(scenes, np.arange(len(changes)), changes, 0)


def filled(image: UInt8Array, box: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    """The share of bright pixels inside a box."""
    x1, y1, x2, y2 = np.rint(box).astype(int)
    return float((image[y1:y2, x1:x2].max(axis=2) > 120).mean())


def bright(image: UInt8Array) -> int:
    return int((image.max(axis=2) > 120).sum())


def test_no_rule_changes_nothing(blocks: Scenes) -> None:
    same = run(blocks, still(8))

    assert np.array_equal(same.images, blocks.images)
    assert all(map(np.array_equal, same.boxes, blocks.boxes))
    assert all(map(np.array_equal, same.classes, blocks.classes))


def test_boxes_stay_around_their_objects_whatever_happens(blocks: Scenes) -> None:
    rule = Augment(flip=True, shift=0.2, scale=0.3, mosaic=0.5)
    chosen = np.random.default_rng(1).integers(0, 8, 60)
    changed = apply(blocks, chosen, draw(np.random.default_rng(2), 60, rule, 8), 0)
    pairs = list(zip(changed.images, changed.boxes, strict=True))
    shares = [filled(image, box) for image, own in pairs for box in own]

    assert len(shares) > 60
    assert min(shares) > 0.75
    assert np.mean(shares) > 0.95
    for image, own in pairs:
        area = float(((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])).sum())
        # What a box no longer stands for is a rest of less than a fifth.
        assert bright(image) <= 1.15 * area + 4 * 0.2 * 400 * 1.7


def test_the_same_seed_draws_the_same_changes(blocks: Scenes) -> None:
    one, again = (run(blocks, draw(np.random.default_rng(5), 8, ALL, 8)) for _ in range(2))

    assert np.array_equal(one.images, again.images)
    assert all(map(np.array_equal, one.boxes, again.boxes))
    assert not np.array_equal(one.images, blocks.images)


def test_what_a_rule_forbids_does_not_move_the_other_draws() -> None:
    whole = draw(np.random.default_rng(5), 6, ALL, 8)
    part = draw(np.random.default_rng(5), 6, Augment(contrast=0.2), 8)

    assert np.array_equal(whole.contrast, part.contrast)
    assert not part.mosaic.any()
    assert not part.flip.any()


def test_a_flip_mirrors_image_boxes_and_classes_exactly(blocks: Scenes) -> None:
    changes = replace(still(8), flip=np.ones((8, 4), np.bool_))
    flipped = apply(blocks, np.arange(8), changes, 0, mirrored=np.array([1, 0]))

    assert np.array_equal(flipped.images, blocks.images[:, :, ::-1])
    assert np.array_equal(flipped.boxes[0][:, 0], SIDE - blocks.boxes[0][:, 2])
    assert np.array_equal(flipped.boxes[0][:, 1], blocks.boxes[0][:, 1])
    assert flipped.classes[0].tolist() == [1, 0]
    assert run(blocks, changes).classes[0].tolist() == [0, 1]


def test_shift_moves_by_shares_of_the_sides_and_cuts_boxes(blocks: Scenes) -> None:
    moved = run(blocks, replace(still(8), shift=np.full((8, 2), (0.5, 0.0))))

    assert np.array_equal(moved.images[0, :, 32:], blocks.images[0, :, :32])
    assert moved.images[0, :, :32].max() == 0
    assert moved.classes[0].tolist() == [0]
    assert np.array_equal(moved.boxes[0][0], blocks.boxes[0][0] + (32, 0, 32, 0))


@pytest.mark.parametrize(("right", "kept"), [(78, True), (82, False)])
def test_a_box_that_keeps_less_than_a_fifth_goes(right: int, kept: bool) -> None:
    """A box of 10 x 10 pixels at x = 0, pushed out to the left by 7.8 and 8.2 pixels."""
    image = np.zeros((1, 100, 100, 3), np.uint8)
    box = np.array([(0, 20, 10, 30)], np.float32)
    sizes = np.full((1, 2), 100, np.int64)
    scenes = Scenes(image, [box], [np.array([0])], sizes, ["0"])
    moved = run(scenes, replace(still(1), shift=np.array([(-right / 1000, 0.0)])))

    assert len(moved.boxes[0]) == kept


def test_a_box_of_less_than_two_pixels_goes(blocks: Scenes) -> None:
    thin = [np.array([(10, 10, 11.5, 40), (20, 10, 22.5, 40)], np.float32)] * 8
    left = run(replace(blocks, boxes=thin), still(8))

    assert left.classes[3].tolist() == [1]


def test_a_mosaic_is_made_of_four_images_that_meet(blocks: Scenes) -> None:
    changes = replace(
        still(1),
        mosaic=np.array([True]),
        partners=np.array([(1, 2, 3)]),
        meet=np.array([(0.5, 0.25)]),
    )
    made = apply(blocks, np.array([0]), changes, 0).images[0]
    originals = blocks.images

    assert np.array_equal(made[:16, :32], originals[0, -16:, -32:])
    assert np.array_equal(made[:16, 32:], originals[1, -16:, :32])
    assert np.array_equal(made[16:, :32], originals[2, :48, -32:])
    assert np.array_equal(made[16:, 32:], originals[3, :48, :32])


def test_saturation_hue_and_brightness_have_the_documented_units(blocks: Scenes) -> None:
    red = replace(blocks, images=np.full((8, SIDE, SIDE, 3), (200, 0, 0), np.uint8))
    base = still(8)
    third = run(red, replace(base, hue=np.full(8, 1 / 3))).images[0, 0, 0]
    grey = run(red, replace(base, saturation=np.zeros(8))).images[0, 0, 0]
    lit = run(red, replace(base, brightness=np.full(8, 0.2))).images[0, 0, 0]

    assert np.abs(third.astype(int) - (0, 200, 0)).max() <= 5
    assert grey.tolist() == [200, 200, 200]
    assert lit.tolist() == [251, 51, 51]


def test_an_image_without_objects_stays_one(blocks: Scenes) -> None:
    empty = replace(
        blocks,
        boxes=[np.zeros((0, 4), np.float32)] * 8,
        classes=[np.zeros(0, np.int64)] * 8,
    )
    changed = run(empty, draw(np.random.default_rng(5), 8, ALL, 8))

    assert all(boxes.shape == (0, 4) for boxes in changed.boxes)


def test_as_many_changes_as_images_are_needed(blocks: Scenes) -> None:
    with pytest.raises(ValueError, match="5 changes for 6 images"):
        apply(blocks, np.arange(6), still(5), 0)


def test_an_image_is_changed_in_few_milliseconds() -> None:
    made = [scene(0, "train", index, 192, 0.5) for index in range(8)]
    scenes = Scenes(
        np.stack([one.image for one in made]),
        [one.boxes for one in made],
        [one.classes for one in made],
        np.full((8, 2), 192, np.int64),
        [str(k) for k in range(8)],
    )
    changes = draw(np.random.default_rng(2), 40, ALL, 8)
    chosen = np.arange(40) % 8
    apply(scenes, chosen, changes, 114)
    begin = time.process_time()
    apply(scenes, chosen, changes, 114)

    # 1 ms; the rest is for a busy machine.
    assert (time.process_time() - begin) / 40 < 0.004
