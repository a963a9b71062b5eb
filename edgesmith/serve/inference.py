"""The process that finds what is in frames: the model on some, the tracker on the others."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np

from edgesmith import contract as contracts
from edgesmith.serve import wire
from edgesmith.serve.board import Board, Orders
from edgesmith.serve.channel import Channel, Item
from edgesmith.serve.model import Answer, Model
from edgesmith.serve.result import Result, Seen
from edgesmith.serve.settings import Settings
from edgesmith.serve.track import Pace, Tracker

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_STEP_SECONDS = 0.2
# Of a source whose pace nobody said.
_USUAL_FPS = 30.0
# A look that takes this many times the usual is a hang, where that is more than `hang_s`.
_HANG_FACTOR = 4.0
# How long the tracker's Python may keep a network that is back from its kernels waiting.
_SWITCH_SECONDS = 0.0002


class _Look(NamedTuple):
    """A frame under way; without `answer` the tracker alone carries it."""

    item: Item
    model: Model
    wait_ms: float
    pace_ms: float
    answer: Future[Answer] | None


class Inference:
    """Frames to results, until the frames end.

    Where the network looks at every frame it has a thread of its own, and the next frame while this
    one decodes and tracks the last; where none may be dropped this one prepares the next too.
    Elsewhere that gains nothing: an adaptive pace has to know the last one's tracks first, and
    where most frames are carried the threads only take each other's core.
    """

    _model: Model

    def __init__(self, settings: Settings, board: Board, frames: Channel, results: Channel) -> None:
        """Prepare; `run` loads the artifact."""
        self._settings = settings
        self._board = board
        self._frames = frames
        self._results = results
        self._hang_s = settings.watch.hang_s
        self._worker = ThreadPoolExecutor(1, "network") if settings.every == 1 else None
        self._loaded = ""
        self._seen: tuple[Seen, ...] = ()
        self._first_track = board.last_track
        self._tracker: Tracker | None = None
        self._pace = Pace(settings.every, settings.target_fps)

    def run(self, process: int) -> None:
        """Look at frames; raises ContractError and RuntimeUnavailableError as loading does."""
        settings = self._settings
        for artifact in (settings.fallback, *settings.smaller):
            if artifact is not None:
                contracts.verify(artifact)
        model = self._load(self._orders().artifact)
        if model.detects:
            _try_tracker()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._board.ready("inference", process)
        last: _Look | None = None
        while last is not None or not self._frames.ended:
            self._promise()
            following = self._follow(last)
            if last is not None:
                self._finish(last)
            last = following
        self._results.end()

    def _follow(self, last: _Look | None) -> _Look | None:
        """The frame after `last`, begun; None where there is none, or `last` comes first."""
        orders = self._orders()
        pause = orders.pause and not self._board.stopping
        if last is None:
            if pause:
                time.sleep(_STEP_SECONDS)
                return None
            if orders.artifact != self._loaded:
                self._load(orders.artifact)
                self._promise()
            return self._begin(orders.skip, _STEP_SECONDS)
        if pause or self._worker is None or orders.artifact != self._loaded:
            return None
        if last.answer is not None and not self._settings.source.every_frame:
            # The next is to be the newest of the moment at which the network is free.
            last.answer.exception()  # waits; `_finish` raises it
        return self._begin(orders.skip, 0.0)

    def _begin(self, skip: float, seconds: float) -> _Look | None:
        """Have the network look at the next frame, if one comes in time and it is its turn."""
        item = self._frames.take(seconds)
        if item is None:
            return None
        if item.number <= self._results.last_index:
            # A process that was killed between handing the result over and `done` leaves it twice.
            self._frames.done()
            return None
        waited = time.monotonic_ns() - item.captured_ns
        model = self._model
        tracker = self._tracker = self._tracker or self._new_tracker(model)
        self._pace.slow_down(skip)
        start = time.perf_counter()
        detect = self._pace.detect_next(item.image, self._seen, tracker.doubt)
        pace_ms = 1000 * (time.perf_counter() - start)
        answer = self._start(model.look, model.prepare(item.image)) if detect else None
        return _Look(item, model, waited / 1e6, pace_ms, answer)

    def _finish(self, look: _Look) -> None:
        """Hand over what was found, and be done with the frame."""
        note = wire.encode(self._result(look))
        while not self._results.put(look.item._replace(note=note), _STEP_SECONDS):
            self._promise()
        self._board.finish("inference")
        self._frames.done()

    def _result(self, look: _Look) -> Result:
        item, image = look.item, look.item.image
        ms = {"capture": int(item.note) / 1e6, "wait": look.wait_ms}
        tracker = self._tracker = self._tracker or self._new_tracker(look.model)
        found: tuple[Seen, ...] = ()
        look_ms: float | None = None
        if look.answer is not None:
            found, times = look.model.decode(look.answer.result())
            look_ms = sum(times.values())
            ms |= times
            self._board.count_detected()
        start = time.perf_counter()
        tracked = tracker.carry(image) if look.answer is None else tracker.update(found, image)
        ms["track"] = 1000 * (time.perf_counter() - start)
        self._seen = self._numbered(tracked)
        self._pace.measured(look_ms, look.pace_ms + ms["track"])
        return Result(
            index=item.number,
            captured_s=item.epoch_ns / 1e9,
            objects=self._seen,
            detected=look.answer is not None,
            ms=ms,
            artifact=look.model.name,
        )

    def _new_tracker(self, model: Model) -> Tracker:
        """At the first frame: by then capture knows the pace of its source."""
        settings = self._settings
        fps = settings.source.fps or self._board.pace_fps or settings.target_fps
        return Tracker(fps or _USUAL_FPS, new_score=model.least)

    def _numbered(self, tracked: tuple[Seen, ...]) -> tuple[Seen, ...]:
        """Tracks with numbers that no earlier process of this session gave."""
        numbered = tuple(
            seen if seen.track is None else seen._replace(track=seen.track + self._first_track)
            for seen in tracked
        )
        highest = max((seen.track or 0 for seen in numbered), default=0)
        self._board.last_track = max(self._board.last_track, highest)
        return numbered

    def _load(self, artifact: str) -> Model:
        settings = self._settings
        self._board.promise("inference", settings.watch.start_s)
        # By the thread that will run it: a runtime's own threads belong to the one that asks first.
        model = self._start(
            Model, Path(artifact), settings.threads, settings.providers, settings.threshold
        ).result()
        self._hang_s = max(settings.watch.hang_s, _HANG_FACTOR * model.usual_s)
        if self._hang_s > settings.watch.hang_s:
            _log.warning(
                "%s takes %.2f s a frame: a hang is one of %.1f s",
                model.name,
                model.usual_s,
                self._hang_s,
            )
        self._loaded, self._model = artifact, model
        return model

    def _start(self, call: Callable[P, T], *given: P.args, **named: P.kwargs) -> Future[T]:
        """Call what is the network's; it is done on return where that has no thread."""
        if self._worker is not None:
            return self._worker.submit(call, *given, **named)
        done: Future[T] = Future()
        done.set_result(call(*given, **named))
        return done

    def _orders(self) -> Orders:
        while (orders := self._board.orders()) is None:
            time.sleep(0.01)
        return orders

    def _promise(self) -> None:
        self._board.promise("inference", self._hang_s)


def _try_tracker() -> None:
    """Raise RuntimeUnavailableError now, and not at the first object, where its library is missing.

    It is imported by that too, which the first frame need not wait for.
    """
    Tracker(_USUAL_FPS).update(
        [Seen(0, 1.0, (2.0, 2.0, 12.0, 12.0))], np.zeros((16, 16, 3), np.uint8)
    )
