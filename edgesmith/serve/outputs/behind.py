"""An output that runs in a thread of its own, so that a slow disk does not hold up the others."""

from __future__ import annotations

import logging
import threading
from collections import deque

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs.output import Output, Outputs
from edgesmith.serve.result import Result, Status

_LOG = logging.getLogger(__name__)
_CLOSE_S = 10.0


class Behind:
    """Hands copies of frames to `output` through a queue of `depth`; when full, the oldest goes.

    `dropped` counts those. What the output raises is logged as `Outputs` does.
    """

    def __init__(self, output: Output, depth: int = 8) -> None:
        self._output = Outputs([output])
        self._name = type(output).__name__
        self._waiting: deque[tuple[UInt8Array, Result, Status]] = deque()
        self._depth = depth
        self._changed = threading.Condition()
        self._ended = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"{self._name} behind", daemon=True)
        self._thread.start()

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Queue a copy of the frame."""
        with self._changed:
            if len(self._waiting) >= self._depth:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((image.copy(), result, status))
            self._changed.notify()

    def close(self) -> None:
        """Write what waits and close the output; what hangs for more than 10 s is left behind."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            _LOG.error("output %s hangs; what it had not written is lost", self._name)
        if self.dropped:
            _LOG.warning("output %s was too slow for %d frames", self._name, self.dropped)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                frame = self._waiting.popleft()
            self._output.put(*frame)
        self._output.close()
