"""Objects that keep their numbers: detected on some frames, carried on the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from edgesmith.errors import RuntimeUnavailableError
from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Seen
from edgesmith.serve.track import flow
from edgesmith.serve.track.flow import Box, Grey

if TYPE_CHECKING:
    from edgesmith.serve.track.associate import Association

Carrier = Literal["flow", "velocity", "hold"]

# Least score that begins a track, where nobody says another.
_NEW_SCORE = 0.25
# What a detector should be asked for: boxes this faint continue tracks, though they begin none.
# Without them the film's tracks lose 8 points of MOTA.
FAINT = 0.1
_IOU = 0.2
# Boxes that overlap more are one object seen twice: a head trained for short gives each sign up to
# three times, and with them the film's tracks lose 20 points of MOTA.
_SAME = 0.6
# How long an object that hides is remembered.
_REMEMBER_S = 1.5
# A carried box of which less is inside the frame has left it.
_LEAST_INSIDE = 0.4
# An object that the detector misses is carried on through so many detections, or for so long, where
# that many of its points are found again.
_COAST_MISSES = 2
_COAST_S = 0.1
_COAST_SURE = 0.75
# A third: a doubtful object is looked at again in the third frame after.
_DOUBT = 0.34
# Carried frames in a row without enough points before an object counts as hidden.
_MOST_BLIND = 3


_STILL: Box = (0.0, 0.0, 0.0, 0.0)


@dataclass
class _Track:
    """An object that was in the last frame."""

    number: int
    box: Box
    score: float
    votes: Counter[int] = field(default_factory=Counter)
    # Pixels per frame of the two corners, for frames without enough points.
    velocity: Box = _STILL
    sure: float = 1.0
    blind: int = 0
    # Its last detection, the frame of that, and detections since that missed it.
    found: Box = _STILL
    detected: int = 0
    missed: int = 0
    # Edges (left, top, right, bottom) that were at the frame's border when it was detected.
    cut: tuple[bool, bool, bool, bool] = (False, False, False, False)

    @property
    def label(self) -> int:
        return self.votes.most_common(1)[0][0]

    def seen(self, height: int, width: int) -> Seen:
        x1, y1, x2, y2 = self.box
        # What enters shows more of itself with each frame: its cut edge stays at the border.
        left = 0.0 if self.cut[0] else min(max(x1, 0.0), width)
        top = 0.0 if self.cut[1] else min(max(y1, 0.0), height)
        right = width if self.cut[2] else min(max(x2, 0.0), width)
        bottom = height if self.cut[3] else min(max(y2, 0.0), height)
        return Seen(self.label, self.score, (left, top, float(right), float(bottom)), self.number)


class Tracker:
    """ByteTrack on frames that the detector ran on, optical flow between them.

    Before a detection ByteTrack gets the boxes of the last carried frame, so that its Kalman
    filters know where each object is. `carrier` other than `flow` is for comparison.

    A classifier's answers have no boxes: `update` gives them back as they are and `carry` repeats
    them.

    Attributes:
        doubt: What `Pace` wants to know, 0 to 1: above 0 when the detector had better look again
            soon, because it missed an object that is still there, found something too faint to
            begin a track, or because an object was lost since.
    """

    def __init__(
        self,
        fps: float,
        per_label: bool = False,
        carrier: Carrier = "flow",
        new_score: float = _NEW_SCORE,
    ) -> None:
        """`fps` is that of the frames, detected and carried together.

        `new_score` is the least that begins a track; give `update` boxes down to `FAINT`, which
        continue them.

        With `per_label` an object is never taken for one of another label; without, it keeps its
        number when the detector wavers, and has the label that it was given most often.
        """
        self.doubt = 0.0
        self._per_label = per_label
        self._carrier = carrier
        self._new_score = new_score
        self._frame_s = 1 / fps
        self._frames = 0
        # Whether boxes were carried since ByteTrack saw any.
        self._carried = False
        self._tracks: list[_Track] = []
        self._boxless: tuple[Seen, ...] = ()
        self._grey: Grey | None = None
        self._association: Association | None = None
        # Votes of objects that hide now, by number.
        self._hidden: dict[int, tuple[int, Counter[int]]] = {}

    def update(self, objects: Sequence[Seen], image: UInt8Array) -> tuple[Seen, ...]:
        """The objects that the detector found in this frame, with their numbers.

        `image` is (H, W, 3) uint8. Boxes that begin no track and belong to none are left out.
        """
        self._boxless = tuple(found for found in objects if found.box is None)
        boxed = _distinct(objects, self._per_label)
        if self._carried:
            self._associate(
                [Seen(track.label, 1.0, track.box) for track in self._tracks],
                [track.number for track in self._tracks],
            )
            self._carried = False
        self._frames += 1
        self.doubt = 0.0
        if not boxed and self._association is None:
            return self._boxless
        before = {track.number: track for track in self._tracks}
        numbers = self._associate(boxed, [None] * len(boxed))
        missed = [track for track in self._tracks if track.number not in set(numbers)]
        now = flow.grey(image, around=[*_boxes(boxed), *(track.box for track in self._tracks)])
        tracks = []
        for found, number in zip(boxed, numbers, strict=True):
            if number is None or found.box is None:
                continue
            old = before.get(number)
            votes = old.votes if old else self._hidden.pop(number, (0, Counter[int]()))[1]
            votes[found.label] += 1
            velocity = self._velocity(old, found.box) if old else _STILL
            tracks.append(
                _Track(
                    number,
                    found.box,
                    found.score,
                    votes,
                    velocity,
                    found=found.box,
                    detected=self._frames,
                    cut=_cut(found.box, image),
                )
            )
        coasting = self._coasting(missed, now, image)
        if coasting or len(tracks) < len(boxed):
            self.doubt = _DOUBT
        tracks += coasting
        self._hide(before, {track.number for track in tracks})
        self._tracks, self._grey = tracks, now
        return self._shown(image)

    def carry(self, image: UInt8Array) -> tuple[Seen, ...]:
        """The objects of the frame before, where they are in this one."""
        self._frames += 1
        if not self._tracks:
            self._grey = None
            return self._boxless
        self._carried = True
        now = flow.grey(image, around=[track.box for track in self._tracks])
        kept = []
        for track, (box, sure) in zip(self._tracks, self._moves(self._tracks, now), strict=True):
            track.blind = 0 if sure else track.blind + 1
            if sure:
                track.velocity = _less(box, track.box)
            track.box, track.sure = box, sure
            if track.blind <= _MOST_BLIND and _inside(box, image) >= _LEAST_INSIDE:
                kept.append(track)
        if len(kept) < len(self._tracks):
            self.doubt = _DOUBT
            before = {track.number: track for track in self._tracks}
            self._hide(before, {track.number for track in kept})
        self._tracks, self._grey = kept, now
        return self._shown(image)

    def _shown(self, image: UInt8Array) -> tuple[Seen, ...]:
        height, width = image.shape[:2]
        return (*(track.seen(height, width) for track in self._tracks), *self._boxless)

    def _velocity(self, old: _Track, box: Box) -> Box:
        """Of the picture in the last frame where it was carried, else between two detections."""
        frames = self._frames - old.detected
        if self._carrier == "flow" and frames > 1 and not old.blind:
            return old.velocity
        x1, y1, x2, y2 = _less(box, old.found)
        return (x1 / frames, y1 / frames, x2 / frames, y2 / frames)

    def _coasting(self, missed: Sequence[_Track], now: Grey, image: UInt8Array) -> list[_Track]:
        """Objects that the detector missed just now, where the picture says that they are."""
        oldest = self._frames - _COAST_S / self._frame_s
        coasting = []
        for track, (box, sure) in zip(missed, self._moves(missed, now), strict=True):
            if (
                (track.missed < _COAST_MISSES or track.detected >= oldest)
                and sure >= _COAST_SURE
                and _inside(box, image) >= _LEAST_INSIDE
            ):
                coasting.append(replace(track, box=box, sure=sure, missed=track.missed + 1))
        return coasting

    def _moves(self, tracks: Sequence[_Track], now: Grey) -> list[tuple[Box, float]]:
        """Where each track's box is now, and how sure that is."""
        if self._carrier == "hold":
            return [(track.box, 1.0) for track in tracks]
        if self._carrier == "velocity" or self._grey is None or not tracks:
            return [(_plus(track.box, track.velocity), 1.0) for track in tracks]
        boxes, velocities = zip(*((track.box, track.velocity) for track in tracks), strict=True)
        moved = flow.follow(self._grey, now, boxes, velocities)
        return [
            (found.box, found.sure) if found.sure else (_plus(track.box, track.velocity), 0.0)
            for track, found in zip(tracks, moved, strict=True)
        ]

    def _associate(self, boxed: Sequence[Seen], known: Sequence[int | None]) -> list[int | None]:
        if self._association is None:
            self._association = _association(self._per_label, self._new_score)
        boxes = _boxes(boxed)
        # A carried box is as good as a detection: with its old score it might begin no track.
        scores = [
            found.score if own is None else 1.0 for found, own in zip(boxed, known, strict=True)
        ]
        labels = [found.label for found in boxed]
        seconds = self._frames * self._frame_s
        return self._association.step(boxes, scores, labels, known, seconds)

    def _hide(self, before: dict[int, _Track], kept: set[int]) -> None:
        """Remember what was called what, as long as ByteTrack may find it again."""
        for number, track in before.items():
            if number not in kept:
                self._hidden[number] = (self._frames, track.votes)
        oldest = self._frames - _REMEMBER_S / self._frame_s - 1
        self._hidden = {
            number: entry for number, entry in self._hidden.items() if entry[0] >= oldest
        }


def _association(per_label: bool, new_score: float) -> Association:
    try:
        module = import_module("edgesmith.serve.track.associate")
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"tracking needs the Python package {error.name!r}, which is not installed here; "
            "pip install edgesmith[serve]"
        ) from error
    association: Association = module.Association(new_score, _IOU, _REMEMBER_S, per_label)
    return association


def _boxes(objects: Sequence[Seen]) -> list[Box]:
    return [found.box for found in objects if found.box is not None]


def _cut(box: Box, image: UInt8Array) -> tuple[bool, bool, bool, bool]:
    """Which edges of a box are at the image's border, within a fiftieth of the box."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    across, down = (x2 - x1) / 50 + 1, (y2 - y1) / 50 + 1
    return (x1 < across, y1 < down, x2 > width - across, y2 > height - down)


def _distinct(objects: Sequence[Seen], per_label: bool) -> list[Seen]:
    """Objects with boxes, best first, without those that a better one covers."""
    kept: list[Seen] = []
    for found in sorted(objects, key=lambda found: -found.score):
        if found.box is not None and not any(
            (other.label == found.label or not per_label)
            and other.box is not None
            and _iou(found.box, other.box) > _SAME
            for other in kept
        ):
            kept.append(found)
    return kept


def _iou(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    shared = wide * high
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def _inside(box: Box, image: UInt8Array) -> float:
    """Share of a box that is inside the image."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    wide = min(x2, width) - max(x1, 0)
    high = min(y2, height) - max(y1, 0)
    area = (x2 - x1) * (y2 - y1)
    return max(wide, 0) * max(high, 0) / area if area > 0 else 0.0


def _less(one: Box, other: Box) -> Box:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2], one[3] - other[3])


def _plus(one: Box, other: Box) -> Box:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])
