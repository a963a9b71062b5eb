"""Boxes of one frame to the tracks of those before: ByteTrack, by EdgeFirst (Apache-2.0)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from edgefirst.tracker import ByteTrack

Box = tuple[float, float, float, float]

# Of the Kalman filter: the measured box as it is. Carried boxes follow the picture already; the
# library's 0.25 smooths them once more, and predictions then lag behind what turns or nears.
_GAIN = 1.0
# Numbers that are kept before those of objects long gone are looked for.
_MOST_NUMBERS = 20


class Association:
    """Numbers that objects keep, one step per frame.

    The library knows tracks by random UUIDs; here they become numbers from 1 in order of
    appearance, so that the same boxes give the same numbers.
    """

    def __init__(self, new_score: float, iou: float, remember_s: float, per_label: bool) -> None:
        self._make = partial(
            ByteTrack,
            high_conf=new_score,
            iou=iou,
            update=_GAIN,
            lifespan_ns=round(remember_s * 1e9),
        )
        self._per_label = per_label
        self._trackers: dict[int, ByteTrack] = {}
        self._numbers: dict[str, int] = {}
        self._count = 0

    def step(
        self,
        boxes: Sequence[Box],
        scores: Sequence[float],
        labels: Sequence[int],
        known: Sequence[int | None],
        seconds: float,
    ) -> list[int | None]:
        """The number of each box; None of one too doubtful to begin a track and like no other.

        `known` gives the numbers of boxes that were carried: the library's track that takes such a
        box takes its number too. `seconds` is the time of the frame and never falls.
        """
        groups = [label if self._per_label else 0 for label in labels]
        numbers: list[int | None] = [None] * len(boxes)
        for group in sorted({*groups, *self._trackers}):
            members = [place for place, own in enumerate(groups) if own == group]
            for place, uuid in zip(
                members, self._ask(group, boxes, scores, labels, members, seconds), strict=True
            ):
                if uuid is not None:
                    numbers[place] = self._number(uuid, known[place])
        self._forget()
        return numbers

    def _ask(
        self,
        group: int,
        boxes: Sequence[Box],
        scores: Sequence[float],
        labels: Sequence[int],
        members: Sequence[int],
        seconds: float,
    ) -> list[str | None]:
        if group not in self._trackers:
            self._trackers[group] = self._make()
        found = self._trackers[group].update(
            np.array([boxes[place] for place in members], np.float32).reshape(-1, 4),
            np.array([scores[place] for place in members], np.float32),
            np.array([labels[place] for place in members], np.uintp),
            round(seconds * 1e9),
        )
        return [None if track is None else str(track.uuid) for track in found]

    def _number(self, uuid: str, known: int | None) -> int:
        if known is not None and self._numbers.get(uuid) != known:
            # The library began another track for a carried box, or two crossed: the number stays
            # with the picture.
            self._numbers = {key: own for key, own in self._numbers.items() if own != known}
            self._numbers[uuid] = known
        if uuid not in self._numbers:
            self._count += 1
            self._numbers[uuid] = self._count
        return self._numbers[uuid]

    def _forget(self) -> None:
        """Without it a loop that runs for months would keep the number of every object ever."""
        if len(self._numbers) <= _MOST_NUMBERS:
            return
        alive = {
            str(track.info.uuid)
            for tracker in self._trackers.values()
            for track in tracker.get_active_tracks()
        }
        self._numbers = {uuid: own for uuid, own in self._numbers.items() if uuid in alive}
