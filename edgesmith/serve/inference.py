"""The process that finds what is in frames: the model on some, the tracker on the others."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np

from edgesmith import contract as contracts
from edgesmith.serve import wire
from edgesmith.serve.board import Board, Orders
from edgesmith.serve.channel import Channel, Item
from edgesmith.serve.model import Model
from edgesmith.serve.result import Result, Seen
from edgesmith.serve.settings import Settings
from edgesmith.serve.track import Pace, Tracker

_log = logging.getLogger(__name__)
_STEP_SECONDS = 0.2
# Of a source whose pace nobody said.
_USUAL_FPS = 30.0
# A look that takes this many times the usual is a hang, where that is more than `hang_s`.
_HANG_FACTOR = 4.0


class Inference:
    """Frames to results, until the frames end."""

    def __init__(self, settings: Settings, board: Board, frames: Channel, results: Channel) -> None:
        """Prepare; `run` loads the artifact."""
        self._settings = settings
        self._board = board
        self._frames = frames
        self._results = results
        self._hang_s = settings.watch.hang_s
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
        orders = self._orders()
        model = self._load(orders.artifact)
        if model.detects:
            _try_tracker()
        self._board.ready("inference", process)
        while not self._frames.ended:
            self._promise()
            orders = self._orders()
            if orders.pause and not self._board.stopping:
                time.sleep(_STEP_SECONDS)
                continue
            if orders.artifact != self._loaded:
                model = self._load(orders.artifact)
                self._promise()
            item = self._frames.take(_STEP_SECONDS)
            if item is not None:
                self._handle(model, item, orders.skip)
        self._results.end()

    def _handle(self, model: Model, item: Item, skip: float) -> None:
        # A process that was killed between handing the result over and `done` leaves it twice.
        if item.number > self._results.last_index:
            result = self._result(model, item, skip)
            note = wire.encode(result)
            while not self._results.put(item._replace(note=note), _STEP_SECONDS):
                self._promise()
            self._board.finish("inference")
        self._frames.done()

    def _result(self, model: Model, item: Item, skip: float) -> Result:
        waited = time.monotonic_ns() - item.captured_ns
        ms = {"capture": int(item.note) / 1e6, "wait": waited / 1e6}
        start = time.perf_counter()
        tracker = self._tracker = self._tracker or self._new_tracker(model)
        self._pace.slow_down(skip)
        detected = self._pace.detect_next(item.image, self._seen, tracker.doubt)
        found: tuple[Seen, ...] = ()
        look_ms: float | None = None
        if detected:
            found, times = model.look(item.image)
            look_ms = sum(times.values())
            ms |= times
            self._board.count_detected()
        followed = time.perf_counter()
        tracked = tracker.update(found, item.image) if detected else tracker.carry(item.image)
        ms["track"] = 1000 * (time.perf_counter() - followed)
        self._seen = self._numbered(tracked)
        total_ms = 1000 * (time.perf_counter() - start)
        self._pace.measured(look_ms, total_ms - (look_ms or 0.0))
        return Result(
            index=item.number,
            captured_s=item.epoch_ns / 1e9,
            objects=self._seen,
            detected=detected,
            ms=ms,
            artifact=model.name,
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
        model = Model(Path(artifact), settings.threads, settings.providers, settings.threshold)
        self._hang_s = max(settings.watch.hang_s, _HANG_FACTOR * model.usual_s)
        if self._hang_s > settings.watch.hang_s:
            _log.warning(
                "%s takes %.2f s a frame: a hang is one of %.1f s",
                model.name,
                model.usual_s,
                self._hang_s,
            )
        self._loaded = artifact
        return model

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
