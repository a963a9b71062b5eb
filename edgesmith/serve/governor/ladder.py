"""What the loop can do with less: rungs, each cheaper than the one above it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from edgesmith.errors import ParamsError


class Rung(NamedTuple):
    """An artifact at a resolution. `cost` is that of one of its detections, the full one being 1.

    `size` is height and width in pixels that frames are fitted to, None as they come; `artifact`
    is another one than that which was asked for, None where it is that.
    """

    cost: float
    size: tuple[int, int] | None = None
    artifact: str | None = None


class Level(NamedTuple):
    """What the loop is to do now.

    `skip` is how many times as seldom the detector runs (1 at full speed, parts are meant: at 1.5
    after one and after two frames in turn). `size` and `artifact` are those of the rung. With
    `stop` nothing runs. `words` says it for the status line; empty at full speed.
    """

    skip: float
    size: tuple[int, int] | None
    artifact: str | None
    stop: bool
    words: str


FULL_SPEED = Level(1.0, None, None, False, "")
# Beyond this many times as seldom a smaller network sees more than the full one.
MOST_SKIP = 3.0


def ladder(
    sizes: Sequence[tuple[tuple[int, int], float]] = (),
    artifacts: Sequence[tuple[str, float]] = (),
) -> tuple[Rung, ...]:
    """Rungs in the order in which they are taken: the full one, smaller sizes, then artifacts.

    Each size and each artifact comes with the cost of a detection as a share of the full one
    (`edgesmith bench` measures it). Raises ParamsError where one costs no less than that above it:
    it would cool nothing.
    """
    rungs = [Rung(1.0)]
    rungs += [Rung(cost, size=size) for size, cost in sizes]
    rungs += [Rung(cost, artifact=artifact) for artifact, cost in artifacts]
    for above, below in pairwise(rungs):
        if not 0 < below.cost < above.cost:
            raise ParamsError(
                f"governor: {below.artifact or below.size} costs {below.cost:g} of a full "
                f"detection, which is not between 0 and the {above.cost:g} of the rung above it: "
                "leave it out or put it elsewhere"
            )
    return tuple(rungs)
