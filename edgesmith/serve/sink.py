"""The process that hands results to the outputs."""

from __future__ import annotations

import time
from collections import deque

from edgesmith.serve import wire
from edgesmith.serve.board import Board
from edgesmith.serve.channel import Channel, Item
from edgesmith.serve.outputs.output import Output
from edgesmith.serve.result import Status
from edgesmith.serve.settings import Settings
from edgesmith.serve.tally import Tally

_STEP_SECONDS = 0.2
# Frames per second are those of the last so many.
_FRAMES = 30


class Sink:
    """Results to outputs, until the results end."""

    def __init__(
        self,
        settings: Settings,
        board: Board,
        frames: Channel,
        results: Channel,
        output: Output,
    ) -> None:
        """Prepare; `run` takes results."""
        self._board = board
        self._frames = frames
        self._results = results
        self._output = output
        self._hang_s = settings.watch.hang_s
        self._start_s = settings.watch.start_s
        self._tally = Tally(board.tally_words())
        self._finished: deque[int] = deque(maxlen=_FRAMES)

    def run(self, process: int) -> None:
        """Hand over; a result is done with, and never comes again, when the outputs had it."""
        self._board.ready("sink", process)
        try:
            while not self._results.ended:
                self._promise()
                item = self._results.take(_STEP_SECONDS)
                if item is not None:
                    self._handle(item)
        finally:
            self._board.promise("sink", self._start_s)  # a video's index takes its time
            self._output.close()

    def _handle(self, item: Item) -> None:
        item.image.flags.writeable = False
        result, status = wire.decode(item.note), self._status()
        start = time.monotonic_ns()
        self._output.put(item.image, result, status)
        end = time.monotonic_ns()
        self._tally.add(
            {
                **result.ms,
                "output": (end - start) / 1e6,
                "latency": (end - item.captured_ns) / 1e6,
            }
        )
        self._finished.append(end)
        self._results.done()
        self._board.finish("sink")

    def _status(self) -> Status:
        orders = self._board.orders()
        return Status(
            state=orders.state if orders else "starting",
            fps=self._fps(),
            frames=self._board.finished("sink"),
            dropped=self._frames.dropped,
            detected=self._board.detected,
            restarts=orders.restarts if orders else {},
            temperature_c=orders.temperature_c if orders else None,
            step=orders.step if orders else "",
        )

    def _fps(self) -> float:
        if len(self._finished) < 2:
            return 0.0
        seconds = (self._finished[-1] - self._finished[0]) / 1e9
        return (len(self._finished) - 1) / seconds if seconds > 0 else 0.0

    def _promise(self) -> None:
        self._board.promise("sink", self._hang_s)
