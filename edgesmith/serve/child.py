"""One part of the loop as its supervisor sees it: a process, its promises, its failures."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import IO, Literal, NamedTuple

from edgesmith.serve.board import Board, Part
from edgesmith.serve.channel import Channel
from edgesmith.serve.part import FAULT
from edgesmith.serve.patience import Patience
from edgesmith.serve.settings import Settings

# A killed process is gone within this, unless a driver holds it; then another takes its place.
_REAP_SECONDS = 0.5


class Shared(NamedTuple):
    """What all parts of a loop share."""

    settings: Settings
    board: Board
    frames: Channel
    results: Channel

    def descriptors(self) -> tuple[int, ...]:
        """What a process must inherit."""
        handles = (self.frames.handle, self.results.handle)
        channels = [(handle.region, handle.filled, handle.freed) for handle in handles]
        return (self.board.handle.region, *channels[0], *channels[1])

    def close(self) -> None:
        """Give the descriptors back."""
        for shared in (self.board, self.frames, self.results):
            shared.close()


class Failure(NamedTuple):
    """Why a part is to be replaced; `mendable` is whether a restart may help."""

    kind: Literal["crash", "hang", "fault"]
    words: str

    @property
    def mendable(self) -> bool:
        """Whether a restart may help."""
        return self.kind != "fault"


class Child:
    """A part; `look` at it often."""

    def __init__(self, part: Part, shared: Shared) -> None:
        """Describe the part; `start` starts it."""
        self.part: Part = part
        self.patience = Patience(shared.settings.watch.failures)
        self.restarts = 0
        self.ended = False
        self.failed_at: float | None = None
        self._shared = shared
        self._process: subprocess.Popen[str] | None = None
        self._start_at: float | None = None
        self._undead: list[subprocess.Popen[str]] = []
        self._first = True
        self._finished_before = 0

    @property
    def waiting(self) -> bool:
        """Whether no process runs and one will be started later."""
        return self._process is None and not self.ended

    @property
    def is_ready(self) -> bool:
        """Whether the process that runs now has started up."""
        process = self._process
        return process is not None and self._shared.board.is_ready(self.part, process.pid)

    @property
    def was_ready(self) -> bool:
        """Whether any process of this part got as far."""
        return not self._first

    def start(self) -> None:
        """Start a process, first one or replacement."""
        shared, board = self._shared, self._shared.board
        self._start_at = None
        self._finished_before = board.finished(self.part)
        board.promise(self.part, shared.settings.watch.start_s)
        # A session of its own: the terminal's Ctrl-C is for the supervisor.
        process = subprocess.Popen(
            [sys.executable, "-m", "edgesmith.serve.part", self.part],
            stdin=subprocess.PIPE,
            pass_fds=shared.descriptors(),
            start_new_session=True,
            text=True,
        )
        self._process = process
        given = json.dumps(
            [
                os.getpid(),
                self._first,
                shared.settings.model_dump(mode="json"),
                board.handle,
                shared.frames.handle,
                shared.results.handle,
            ]
        )
        # One that died at once takes nothing; `look` finds out how it did.
        with contextlib.suppress(BrokenPipeError), contextlib.closing(_input(process)) as stream:
            stream.write(given)

    def look(self) -> Failure | None:
        """What went wrong since the last look; starts what is due, kills what hangs."""
        self._undead = [process for process in self._undead if process.poll() is None]
        process = self._process
        if process is None:
            if self._start_at is not None and time.monotonic() >= self._start_at:
                self.start()
            return None
        if self.is_ready:
            self._first = False
        status = process.poll()
        if status is not None:
            self._process = None
            if status == 0:
                self.ended = True
                return None
            return self._failure(status)
        if self._shared.board.overdue_s(self.part) > 0:
            doing = "" if self.is_ready else ", still starting"
            quiet_s = self._shared.board.quiet_s(self.part)
            self.kill()
            return self._fail("hang", f"no sign of progress for {quiet_s:.1f} s{doing}")
        return None

    def replace_in(self, seconds: float) -> None:
        """Start another process after a while."""
        self.restarts += 1
        self._start_at = time.monotonic() + seconds

    def recovered_s(self) -> float | None:
        """Once, when a replaced part finished a frame: seconds since its failure was seen."""
        if self.failed_at is None:
            return None
        if self._shared.board.finished(self.part) <= self._finished_before or self.waiting:
            return None
        seconds = time.monotonic() - self.failed_at
        self.failed_at = None
        return seconds

    def kill(self) -> None:
        """End the process at once; one that a driver holds is left to the kernel."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        try:
            process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._undead.append(process)

    def _failure(self, status: int) -> Failure:
        fault = self._shared.board.fault(self.part)
        if status == FAULT and fault:
            return self._fail("fault", fault)
        if status < 0:
            return self._fail("crash", f"killed by {signal.Signals(-status).name}")
        return self._fail("crash", f"ended with status {status}")

    def _fail(self, kind: Literal["crash", "hang", "fault"], words: str) -> Failure:
        self.failed_at = time.monotonic()
        return Failure(kind, words)


def _input(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdin is None:
        raise ValueError("a part is started with a pipe for its input")
    return process.stdin
