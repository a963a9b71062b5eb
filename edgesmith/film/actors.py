"""What moves in a film: plates on curved paths that come into the picture and leave it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesmith.data.scenes.plates import LABELS, Plate, others, signs

Point = npt.NDArray[np.float64]

# Share of plates that look like signs and are none.
_OTHERS = 0.2
# Sizes as shares of the picture's height when a plate comes and when it leaves.
_SIZES = (0.14, 0.4)
# Seconds from border to border, and the shape of the gaps between two plates.
_SECONDS = (3.0, 7.0)


@dataclass(frozen=True, eq=False)
class Actor:
    """A plate from the moment it starts outside the picture until it is outside again.

    `label` is a number into `plates.LABELS`, -1 for what a detector must leave alone. `path` (3, 2)
    are control points of a quadratic Bézier curve of the plate's middle, in pixels of the picture
    of a camera at rest; `sizes` the plate's side at both ends; `seed` decides how it is tilted and
    weathered.
    """

    number: int
    label: int
    plate: Plate
    begin_s: float
    seconds: float
    path: Point
    sizes: tuple[float, float]
    seed: tuple[int, int]

    def size(self, time_s: float) -> float:
        """Side in pixels; it grows by the same factor each second, as what comes nearer does."""
        share = (time_s - self.begin_s) / self.seconds
        first, last = self.sizes
        return float(first * (last / first) ** share)

    def middle(self, time_s: float) -> Point:
        """Where that is, x y in pixels of the picture of a camera at rest."""
        share = (time_s - self.begin_s) / self.seconds
        weights = np.array([(1 - share) ** 2, 2 * share * (1 - share), share**2])
        return np.asarray(weights @ self.path, np.float64)

    def on_stage(self, time_s: float) -> bool:
        """Whether the time is one of its own."""
        return self.begin_s <= time_s < self.begin_s + self.seconds


def cast(
    seed: int, seconds: float, width: int, height: int, together: float, margin: float
) -> list[Actor]:
    """All plates of a film, in order of appearance; `together` of them at a time on average.

    `margin` is how far in pixels the camera may move: paths begin and end further out than that, so
    that nothing appears in the middle of the picture. Some are there before the film begins.
    """
    rng = np.random.default_rng([seed, 0])
    mean_s = sum(_SECONDS) / 2
    actors: list[Actor] = []
    time_s = -_SECONDS[1]
    while True:
        # Even gaps with some play: of an exponential's crowds a picture would be full of plates.
        time_s += mean_s / together * rng.uniform(0.5, 1.5)
        if time_s >= seconds:
            return actors
        number = len(actors) + 1
        actors.append(_actor(rng, number, time_s, width, height, margin, (seed, number)))


def _actor(
    rng: np.random.Generator,
    number: int,
    begin_s: float,
    width: int,
    height: int,
    margin: float,
    seed: tuple[int, int],
) -> Actor:
    label = -1 if rng.random() < _OTHERS else int(rng.integers(len(LABELS)))
    plates = others() if label < 0 else signs(LABELS[label])
    sizes = rng.uniform(*_SIZES, 2) * height
    first, last = _ends(rng, width, height, margin + 0.75 * float(sizes.max()))
    bend = rng.uniform((0.25, 0.25), (0.75, 0.75)) * (width, height)
    return Actor(
        number=number,
        label=label,
        plate=plates[int(rng.integers(len(plates)))],
        begin_s=begin_s,
        seconds=float(rng.uniform(*_SECONDS)),
        path=np.array([first, 2 * bend - (first + last) / 2, last]),
        sizes=(float(sizes[0]), float(sizes[1])),
        seed=seed,
    )


def _ends(rng: np.random.Generator, width: int, height: int, out: float) -> tuple[Point, Point]:
    """Where a path begins and ends: on two different sides, `out` pixels outside."""
    sides = rng.permutation(4)[:2]
    ends = []
    for side in sides:
        x, y = rng.uniform((0.1, 0.1), (0.9, 0.9)) * (width, height)
        ends.append(((-out, y), (width + out, y), (x, -out), (x, height + out))[int(side)])
    return np.array(ends[0]), np.array(ends[1])
