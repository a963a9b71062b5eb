"""The process that keeps the others alive: watches, replaces, degrades, ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from edgesmith.serve import tally
from edgesmith.serve.board import PARTS, Board, Orders, Part, new_board
from edgesmith.serve.channel import NEWEST_SLOTS, new_channel
from edgesmith.serve.child import Child, Failure, Shared
from edgesmith.serve.errors import ServeError
from edgesmith.serve.heat import Heat
from edgesmith.serve.notify import Notifier
from edgesmith.serve.result import State
from edgesmith.serve.settings import Settings

_log = logging.getLogger(__name__)
_TICK_SECONDS = 0.05
# An ordered end takes no longer; what still runs then is killed.
_END_SECONDS = 10.0
_STATUS_SECONDS = 5.0
# Frames that wait where every one counts, of which inference holds two, and results before the
# outputs.
_FRAMES, _RESULTS = 8, 4


class Ending(NamedTuple):
    """How a session ended: `gave_up` says of which part and why, empty otherwise."""

    words: str
    gave_up: str = ""


class Supervisor:
    """One session of the loop."""

    def __init__(self, settings: Settings, heat: Heat, notifier: Notifier) -> None:
        """Make what the parts share; `run` starts them."""
        self._settings = settings
        self._heat = heat
        self._notifier = notifier
        every = settings.source.every_frame
        self.shared = Shared(
            settings,
            new_board(tally.BYTES),
            new_channel("frames", _FRAMES if every else NEWEST_SLOTS, newest=not every),
            new_channel("results", _RESULTS, newest=False),
        )
        self.children = {part: Child(part, self.shared) for part in PARTS}
        self.started_s = time.monotonic()
        self._artifact = settings.artifact
        self._degraded = False
        self._orders: Orders | None = None
        self._watch = _Progress(self.shared.board, notifier)

    @property
    def artifact(self) -> str:
        """Folder of the artifact that runs now."""
        return self._orders.artifact if self._orders else str(self._artifact)

    @property
    def degraded(self) -> bool:
        """Whether the fallback runs."""
        return self._degraded

    @property
    def restarts(self) -> dict[str, int]:
        """Times that a part was replaced, by part that was."""
        return {part: child.restarts for part, child in self.children.items() if child.restarts}

    def run(self, stop: Callable[[], bool]) -> Ending:
        """Run until the source ends, `stop` says so, or a part cannot be kept alive.

        Raises ServeError where the session does not get as far as a first frame for a reason
        that the user can mend.
        """
        try:
            self._order()
            for child in self.children.values():
                child.start()
            while not all(child.ended for child in self.children.values()):
                if stop():
                    self._end()
                    return Ending("stopped")
                gave_up = self._tick()
                if gave_up:
                    self._end()
                    return Ending("gave up", gave_up)
                time.sleep(_TICK_SECONDS)
            return Ending("end of the source")
        finally:
            self._notifier.tell(STOPPING="1")
            for child in self.children.values():
                child.kill()

    def _tick(self) -> str:
        """Look at all parts once; why the session has to end, empty to go on."""
        for part, child in self.children.items():
            failure = child.look()
            if failure is not None:
                gave_up = self._handle(child, failure)
                if gave_up:
                    return gave_up
            recovered_s = child.recovered_s()
            if recovered_s is not None:
                _log.warning("%s: works again, %.1f s after that", part, recovered_s)
        self._order()
        self._watch.feed(self._orders)
        return ""

    def _handle(self, child: Child, failure: Failure) -> str:
        """Replace the part, fall back, or say why neither can be done."""
        part = child.part
        seconds = child.patience.failed(time.monotonic()) if failure.mendable else None
        if seconds is not None:
            _log.warning(
                "%s: %s; replaced %s",
                part,
                failure.words,
                f"in {seconds:g} s" if seconds else "now",
            )
            child.replace_in(seconds)
            return ""
        fallback = self._settings.fallback
        if part == "inference" and fallback is not None and not self._degraded:
            self._degraded = True
            self._artifact = fallback
            _log.error("%s: %s; falling back to %s", part, failure.words, fallback)
            child.patience.forget()
            child.replace_in(0.0)
            return ""
        _log.error("%s: %s; giving up", part, failure.words)
        if failure.kind == "fault" and not child.was_ready:
            raise ServeError(failure.words)
        return f"{part}: {failure.words}"

    def _order(self) -> None:
        """Publish what changed."""
        temperature_c, relief = self._heat.now
        artifact = str(self._artifact)
        orders = Orders(
            state=self._state(relief.pause),
            artifact=artifact if self._degraded else relief.artifact or artifact,
            skip=relief.skip,
            pause=relief.pause,
            step=relief.words,
            restarts=self.restarts,
            temperature_c=None if temperature_c is None else round(temperature_c, 1),
        )
        if orders != self._orders:
            if self._orders is None or orders.state != self._orders.state:
                _log.info("state: %s", orders.state)
            self._orders = orders
            self.shared.board.order(orders)

    def _state(self, pause: bool) -> State:
        board = self.shared.board
        if board.stopping:
            return "stopped"
        if pause:
            return "cooling"
        if not board.finished("sink") and not self.restarts:
            return "starting"
        if board.is_lost or any(child.failed_at is not None for child in self.children.values()):
            return "recovering"
        return "degraded" if self._degraded else "running"

    def _end(self) -> None:
        """Let every part finish what it has, each after the one before it."""
        board = self.shared.board
        board.stop()
        self._order()
        end = time.monotonic() + _END_SECONDS
        for part, child in self.children.items():
            while not child.ended and not child.waiting and time.monotonic() < end:
                failure = child.look()
                if failure is not None:
                    _log.warning("%s: %s while ending", part, failure.words)
                time.sleep(_TICK_SECONDS / 5)
            if not child.ended:
                child.kill()
            self._end_after(part)

    def _end_after(self, part: Part) -> None:
        """Say for a part that cannot say so that no more will come from it."""
        if part == "capture":
            self.shared.frames.end()
        elif part == "inference":
            self.shared.results.end()


class _Progress:
    """Tells systemd of progress that is real."""

    def __init__(self, board: Board, notifier: Notifier) -> None:
        self._board = board
        self._notifier = notifier
        self._known = (0, 0)
        self._ready = False
        self._next_ping_s = 0.0
        self._next_status_s = 0.0
        self._told: State | None = None
        self._counted = (time.monotonic(), 0)

    def feed(self, orders: Orders | None) -> None:
        """Ping if a frame was finished since the last ping, or the source was looked for.

        A loop that the governor stopped to cool does what it is meant to.
        """
        now, frames = time.monotonic(), self._board.finished("sink")
        if frames and not self._ready:
            self._ready = True
            self._notifier.tell(READY="1")
        progress = (frames, self._board.attempts)
        cools = orders is not None and orders.pause
        ping_s = self._notifier.ping_s
        if ping_s and now >= self._next_ping_s and (progress != self._known or cools):
            self._known = progress
            self._next_ping_s = now + ping_s / 2
            self._notifier.tell(WATCHDOG="1")
        if orders is None:
            return
        if orders.state != self._told:
            self._told = orders.state
            self._next_status_s, self._counted = now + _STATUS_SECONDS, (now, frames)
            self._notifier.tell(STATUS=f"{orders.state}: {frames} frames")
        elif now >= self._next_status_s:
            fps = (frames - self._counted[1]) / (now - self._counted[0])
            self._next_status_s, self._counted = now + _STATUS_SECONDS, (now, frames)
            self._notifier.tell(STATUS=f"{orders.state}: {fps:.1f} FPS, {frames} frames")
