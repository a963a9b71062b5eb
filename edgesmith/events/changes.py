"""What changes from frame to frame: frames become a few events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesmith.events.event import Event, Kind
from edgesmith.serve.outputs import record
from edgesmith.serve.result import Result, Seen, Status


@dataclass
class _Object:
    """A track that is in view, or was a moment ago."""

    label: int
    first_s: float
    last: Seen
    last_s: float
    seen_at: float
    frames: int = 0
    best_score: float = 0.0
    begun: bool = False
    candidate: int | None = None
    held: int = 0


class Changes:
    """Tells events from results.

    An object begins when its track was in `confirm` frames, and ends when it was in none for
    `gone_s` seconds; it changes its label when the model gave the new one on `hold` frames that it
    ran on, one after the other. A classifier's answer counts from `least_score`, when it was the
    best on `hold` frames in a row. Objects without a track have no identity, and give no event.
    """

    def __init__(
        self,
        labels: Sequence[str],
        confirm: int = 3,
        hold: int = 3,
        gone_s: float = 2.0,
        least_score: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._labels = labels
        self._confirm, self._hold = confirm, hold
        self._gone_s, self._least_score = gone_s, least_score
        # Not `captured_s`: who sets the clock must not end objects that are in view.
        self._clock = clock
        self._objects: dict[int, _Object] = {}
        self._answer: int | None = None
        self._candidate: tuple[int, float, int] | None = None
        self._status: Status | None = None

    def of(self, result: Result, status: Status) -> list[Event]:
        """The events of one more frame, in the order in which they happened."""
        now = self._clock()
        return [
            *self._loop(result, status),
            *self._gone(now),
            *self._seen(result, now),
            *self._answered(result),
        ]

    def end(self) -> list[Event]:
        """Ends of all that is in view, when the loop ends."""
        ended = [self._ended(track, seen) for track, seen in self._objects.items() if seen.begun]
        self._objects.clear()
        return ended

    def _loop(self, result: Result, status: Status) -> Iterator[Event]:
        was, self._status = self._status, status
        at = result.captured_s
        if was is None or was.state != status.state:
            more: dict[str, Any] = {"artifact": result.artifact}
            more |= {"restarts": dict(status.restarts)} if was is None else {"was": was.state}
            yield Event("state", at, status.state, more=more)
        if status.step != (was.step if was else ""):
            words = status.step or "full speed again"
            yield Event("step", at, words, more={"was": was.step if was else ""})
        for part, count in status.restarts.items():
            # What was replaced before the first frame, this process perhaps, is in its `state`.
            if was is not None and count > was.restarts.get(part, 0):
                of_part = {"part": part, "restarts": count}
                yield Event("restart", at, f"{part} was replaced", more=of_part)

    def _gone(self, now: float) -> Iterator[Event]:
        for track, seen in list(self._objects.items()):
            if now - seen.seen_at > self._gone_s:
                del self._objects[track]
                if seen.begun:
                    yield self._ended(track, seen)

    def _seen(self, result: Result, now: float) -> Iterator[Event]:
        for seen in result.objects:
            if seen.track is None:
                continue
            known = self._objects.get(seen.track)
            if known is None:
                known = _Object(seen.label, result.captured_s, seen, result.captured_s, now)
                self._objects[seen.track] = known
            known.last, known.last_s, known.seen_at = seen, result.captured_s, now
            known.frames += 1
            known.best_score = max(known.best_score, seen.score)
            if not known.begun and known.frames >= self._confirm:
                known.begun, known.label = True, seen.label
                yield self._of(
                    "begin", "appeared", seen, known.first_s, {"artifact": result.artifact}
                )
            elif known.begun and result.detected:
                yield from self._relabelled(known, seen, result)

    def _relabelled(self, known: _Object, seen: Seen, result: Result) -> Iterator[Event]:
        if seen.label == known.label:
            known.candidate, known.held = None, 0
            return
        known.held = known.held + 1 if seen.label == known.candidate else 1
        known.candidate = seen.label
        if known.held >= self._hold:
            was = record.name(known.label, self._labels)
            known.label, known.candidate, known.held = seen.label, None, 0
            more = {"was": was, "artifact": result.artifact}
            yield self._of("label", f"was {was}", seen, result.captured_s, more)

    def _ended(self, track: int, known: _Object) -> Event:
        seconds = max(0.0, known.last_s - known.first_s)
        more = {
            "frames": known.frames,
            "seconds": round(seconds, 3),
            "best_score": round(known.best_score, 4),
        }
        last = known.last._replace(label=known.label)
        return self._of("end", f"gone after {seconds:.1f} s", last, known.last_s, more)

    def _of(
        self, kind: Kind, words: str, seen: Seen, at_s: float, more: Mapping[str, Any]
    ) -> Event:
        label = record.name(seen.label, self._labels)
        return Event(
            kind,
            at_s,
            f"{label} {seen.track} {words}",
            label,
            seen.track,
            round(seen.score, 4),
            seen.box,
            more,
        )

    def _answered(self, result: Result) -> Iterator[Event]:
        answers = [seen for seen in result.objects if seen.box is None]
        if not answers or not result.detected:
            return
        best = max(answers, key=lambda seen: seen.score)
        if best.score < self._least_score or best.label == self._answer:
            self._candidate = None
            return
        label, first_s, held = self._candidate or (best.label, result.captured_s, 0)
        if label != best.label:
            first_s, held = result.captured_s, 0
        self._candidate = (best.label, first_s, held + 1)
        if held + 1 < self._hold:
            return
        was, self._answer, self._candidate = self._answer, best.label, None
        label_name = record.name(best.label, self._labels)
        more = {"artifact": result.artifact}
        if was is not None:
            more["was"] = record.name(was, self._labels)
        yield Event(
            "answer", first_s, label_name, label_name, score=round(best.score, 4), more=more
        )
