from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgesmith.data.scenes.generate import Scene, scene
from edgesmith.data.scenes.placing import visible_box
from edgesmith.data.scenes.plates import LABELS, others, signs
from edgesmith.data.signs.faces import LABELS as SIGN_LABELS
from edgesmith.data.signs.scene import paste
from edgesmith.preprocess import Float32Array, read_image


def same(one: Scene, other: Scene) -> bool:
    return (
        np.array_equal(one.image, other.image)
        and np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.classes, other.classes)
    )


def many(difficulty: float, count: int = 80) -> list[Scene]:
    return [scene(5, "train", index, 192, difficulty) for index in range(count)]


def test_a_scene_is_the_same_whenever_and_in_whatever_order_it_is_made() -> None:
    first = [scene(3, "val", index, 96, 0.7) for index in range(5)]
    again = [scene(3, "val", index, 96, 0.7) for index in reversed(range(5))]

    assert all(map(same, first, reversed(again)))


def test_seed_split_and_index_each_change_the_scene() -> None:
    base = scene(3, "val", 0, 96, 0.7)

    for other in (("val", 1), ("test", 0), ("train", 0), ("calibration", 0)):
        assert not same(base, scene(3, *other, 96, 0.7))
    assert not same(base, scene(4, "val", 0, 96, 0.7))


@pytest.mark.parametrize("difficulty", [0.0, 0.6, 1.0])
def test_boxes_lie_inside_and_have_the_promised_sizes(difficulty: float) -> None:
    scenes = many(difficulty)
    boxes = np.concatenate([one.boxes for one in scenes])
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    counts = [len(one.boxes) for one in scenes]

    assert boxes.dtype == np.float32
    assert boxes.min() >= 0
    assert boxes.max() <= 192
    assert sides.max() <= 97
    assert sides.min() > 8
    assert 38 < np.median(sides) < 52
    assert min(counts) == 0
    assert max(counts) in {5, 6}
    assert set(np.concatenate([one.classes for one in scenes])) == set(range(len(LABELS)))
    assert all(one.image.shape == (192, 192, 3) and one.image.std() > 0 for one in scenes)


def test_every_kind_of_sign_has_a_painting_and_none_is_a_plate_without_glyph() -> None:
    faces = [plate.face(64).tobytes() for label in LABELS for plate in signs(label)]
    blanks = [plate.face(64).tobytes() for plate in others()]

    assert len(LABELS) == 6
    assert len(faces) == len(SIGN_LABELS) + 3
    assert len({*faces, *blanks}) == len(faces) + len(blanks)


@pytest.mark.parametrize("label", LABELS)
def test_a_box_is_tight_around_what_is_drawn(label: str) -> None:
    plate = signs(label)[0]
    where = np.array([(31.5, 20.0), (82.0, 26.5), (79.0, 85.5), (27.0, 75.0)], np.float32)
    canvas = np.zeros((128, 128, 3), np.uint8)
    paste(canvas, plate.face(60), where)
    rows, columns = np.nonzero(canvas.max(axis=2) > 100)
    drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    box = visible_box(plate, where, 128)

    assert box is not None
    assert np.allclose(box, drawn, atol=1.5)


def square(left: float) -> Float32Array:
    corners = [(left, 40), (left + 40, 40), (left + 40, 80), (left, 80)]
    return np.array(corners, np.float32)


def test_a_box_ends_at_the_border_and_a_sign_that_is_mostly_outside_has_none() -> None:
    plate = signs("stop")[0]
    box = visible_box(plate, square(-8.0), 128)

    assert box is not None
    assert box[0] == 0
    # Half a pixel, as corners are centres; an octagon is as wide as the square but for its corners.
    assert box[2] == pytest.approx(-8.0 + 0.5 + 20 * (1 + np.cos(np.pi / 8)), abs=0.01)
    assert visible_box(plate, square(-30.0), 128) is None


def test_the_hardest_scenes_are_harder_to_see() -> None:
    easy, hard = many(0.0, 30), many(1.0, 30)

    def grain(scenes: list[Scene]) -> float:
        steps = [np.abs(np.diff(one.image.astype(float), axis=1)).mean() for one in scenes]
        return float(np.mean(steps))

    assert grain(hard) > 2 * grain(easy)


def test_a_scene_takes_milliseconds() -> None:
    scene(0, "train", 0, 192, 0.7)
    begin = time.process_time()
    many(0.7, 40)

    # 5 ms; three times that for a busy machine.
    assert (time.process_time() - begin) / 40 < 0.015


def test_scenes_can_be_looked_at(tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    subprocess.run([sys.executable, "-m", "edgesmith.data.scenes", str(target)], check=True)

    assert read_image(target).shape == (4 * 192, 6 * 192, 3)
