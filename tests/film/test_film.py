"""Films whose tracks are known."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesmith.errors import DataError
from edgesmith.film import store
from edgesmith.film.shoot import Frame, Script, shoot

SMALL = Script(seed=3, seconds=6.0, fps=5.0, width=160, height=120)


@pytest.fixture(scope="module")
def film() -> list[Frame]:
    return list(shoot(SMALL))


def test_script_alone_decides_every_pixel(film: list[Frame]) -> None:
    for one, other in zip(film, shoot(SMALL), strict=True):
        assert np.array_equal(one.image, other.image) and one.signs == other.signs


def test_another_seed_is_another_film(film: list[Frame]) -> None:
    other = next(shoot(Script(**{**vars(SMALL), "seed": 4})))
    assert not np.array_equal(film[0].image, other.image)


def test_boxes_are_inside_the_picture_and_shares_are_shares(film: list[Frame]) -> None:
    for frame in film:
        assert frame.image.shape == (120, 160, 3) and frame.image.dtype == np.uint8
        for sign in frame.signs:
            x1, y1, x2, y2 = sign.box
            assert 0 <= x1 < x2 <= 160 and 0 <= y1 < y2 <= 120
            assert 0 <= sign.visible <= 1 and 0 <= sign.label < 6


def test_tracks_move_smoothly_and_keep_their_label(film: list[Frame]) -> None:
    pairs = [
        (sign, later)
        for frame, following in pairwise(film)
        for sign in frame.signs
        for later in following.signs
        if later.track == sign.track
    ]
    assert len(pairs) > 20
    for sign, later in pairs:
        assert sign.label == later.label
        middles = [np.array([(b[0] + b[2]) / 2, (b[1] + b[3]) / 2]) for b in (sign.box, later.box)]
        assert np.linalg.norm(middles[1] - middles[0]) < 40


def test_signs_enter_leave_and_are_hidden(film: list[Frame]) -> None:
    first = {sign.track for sign in film[0].signs}
    last = {sign.track for sign in film[-1].signs}
    every = [sign for frame in film for sign in frame.signs]
    assert {sign.track for sign in every} - first and first - last
    assert any(sign.visible < 0.5 for sign in every) and any(sign.visible > 0.9 for sign in every)


def test_box_surrounds_what_is_painted() -> None:
    """Without a sign its place shows the ground; with it something else."""
    script = Script(seed=1, seconds=2.0, fps=4.0, width=160, height=120, difficulty=0.0)
    found = 0
    for frame in shoot(script):
        for sign in frame.signs:
            if sign.visible > 0.95:
                x1, y1, x2, y2 = (round(v) for v in sign.box)
                inside = frame.image[y1:y2, x1:x2].astype(float).std(axis=(0, 1)).max()
                assert inside > 20
                found += 1
    assert found


def test_files_hold_the_same_film(tmp_path: Path, film: list[Frame]) -> None:
    tracks = store.write(tmp_path / "a", SMALL)
    assert tracks == len({sign.track for frame in film for sign in frame.signs})
    reader = cv2.VideoCapture(str(tmp_path / "a" / store.VIDEO))
    for frame in film:
        there, image = reader.read()
        assert there
        assert np.abs(image[:, :, ::-1].astype(int) - frame.image).mean() < 6
    assert not reader.read()[0]
    lines = (tmp_path / "a" / store.TRACKS).read_text().splitlines()
    assert len(lines) == sum(len(frame.signs) for frame in film)
    assert all(len(line.split(",")) == 9 for line in lines)
    assert "seqLength=30" in (tmp_path / "a" / "seqinfo.ini").read_text()
    assert not list((tmp_path / "a").glob("*.part*"))


@pytest.mark.parametrize(
    "change", [{"seconds": 0}, {"fps": -1}, {"difficulty": 1.5}, {"width": 32}, {"together": 0}]
)
def test_impossible_film_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(DataError):
        next(shoot(Script(**{**vars(SMALL), **change})))
