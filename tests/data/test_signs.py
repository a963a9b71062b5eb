from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgesmith.data.png import encode_png
from edgesmith.data.signs.conditions import Conditions
from edgesmith.data.signs.faces import LABELS, face
from edgesmith.data.signs.generate import label_of, sign_image
from edgesmith.data.signs.scene import corners, paste
from edgesmith.preprocess import read_image


def test_there_are_twenty_differently_painted_classes() -> None:
    faces = [face(label, 64).tobytes() for label in LABELS]

    assert len(LABELS) == len(set(LABELS)) == len(set(faces)) == 20


def test_an_image_is_the_same_whenever_and_in_whatever_order_it_is_made() -> None:
    first = [sign_image(3, "train", index, 48, 0.6) for index in range(6)]
    again = [sign_image(3, "train", index, 48, 0.6) for index in reversed(range(6))]

    assert all(np.array_equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert encode_png(first[0]) == encode_png(first[0].copy())


def test_seed_split_and_index_each_change_the_image() -> None:
    base = sign_image(3, "train", 0, 48, 0.6)
    others = [
        sign_image(4, "train", 0, 48, 0.6),
        sign_image(3, "test", 0, 48, 0.6),
        sign_image(3, "calibration", 0, 48, 0.6),
        sign_image(3, "train", len(LABELS), 48, 0.6),
    ]

    assert label_of(0) == label_of(len(LABELS))
    assert all(not np.array_equal(base, other) for other in others)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("side", [16, 64, 130])
def test_every_size_and_difficulty_gives_a_whole_image(side: int, difficulty: float) -> None:
    for index in range(len(LABELS)):
        image = sign_image(1, "val", index, side, difficulty)

        assert image.shape == (side, side, 3)
        assert image.dtype == np.uint8
        assert image.std() > 0


def test_clean_images_tell_the_classes_apart() -> None:
    count = len(LABELS)

    def clean(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        image = sign_image(1, "train", index, 64, 0.0).astype(np.float64)[12:52, 12:52]
        return (image - image.mean()) / image.std()

    templates = [
        np.mean([clean(label + turn * count) for turn in range(8)], axis=0)
        for label in range(count)
    ]
    nearest = [
        int(np.argmin([np.abs(clean(index) - template).mean() for template in templates]))
        for index in range(20 * count, 23 * count)
    ]
    assert np.mean([label == k % count for k, label in enumerate(nearest)]) > 0.95


def test_difficulty_makes_pictures_noisier_and_signs_smaller() -> None:
    easy, hard = Conditions.of(0.0), Conditions.of(1.0)

    assert hard.noise > easy.noise
    assert hard.sign_size[0] < easy.sign_size[0]
    assert hard.occlusion_chance > easy.occlusion_chance == 0.0


def test_a_frontal_sign_covers_exactly_its_square() -> None:
    canvas = np.zeros((80, 80, 3), np.uint8)
    flat = Conditions.of(0.0)
    where = corners(np.random.default_rng(0), (39.5, 39.5), 40.0, flat)
    paste(canvas, np.full((64, 64, 4), 255, np.uint8), where)

    rows, columns = np.nonzero(canvas[:, :, 0] > 127)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 59, 20, 59)


def test_an_image_is_made_in_milliseconds() -> None:
    sign_image(1, "train", 0, 64, 1.0)
    begin = time.process_time()
    for index in range(40):
        sign_image(1, "train", index, 64, 1.0)

    assert (time.process_time() - begin) / 40 < 0.01


def test_the_contact_sheet_is_a_small_picture(tmp_path: Path) -> None:
    path = tmp_path / "sheet.jpg"
    subprocess.run([sys.executable, "-m", "edgesmith.data.signs", str(path)], check=True)

    assert read_image(path).shape == (6 * 64, 20 * 64, 3)
    assert path.stat().st_size < 200_000
