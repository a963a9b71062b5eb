"""`python -m edgesmith.serve.part capture|inference|sink`: one process of the loop.

Started by the supervisor alone, which says the rest as JSON on standard input. Ends with status 0
when it is done, `FAULT` with last words on the board when a restart would not mend the cause, and
with a traceback otherwise.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import ctypes
import faulthandler
import json
import logging
import os
import signal
import sys
from typing import Any, NamedTuple, cast

from edgesmith.errors import EdgesmithError
from edgesmith.serve import board as boards
from edgesmith.serve import channel as channels
from edgesmith.serve.board import Board, Part
from edgesmith.serve.channel import Channel
from edgesmith.serve.settings import Settings

FAULT = 3
_PR_SET_PDEATHSIG = 1
_LOG_FORMAT = "edgesmith serve: %(message)s"


class Given(NamedTuple):
    """What a part is told: by whom, whether it is the first of its session, and all it shares."""

    supervisor: int
    first: bool
    settings: dict[str, Any]
    board: boards.Handle
    frames: channels.Handle
    results: channels.Handle

    @classmethod
    def read(cls, text: str) -> Given:
        """From what the supervisor writes."""
        supervisor, first, settings, board, frames, results = json.loads(text)
        return cls(
            supervisor,
            first,
            settings,
            boards.Handle(*board),
            channels.Handle(*frames),
            channels.Handle(*results),
        )


def main() -> None:
    """Run the part that the first argument names."""
    part = cast(Part, sys.argv[1])
    # The supervisor's orders end a part: a Ctrl-C or SIGTERM to all at once would lose what is
    # under way.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    given = Given.read(sys.stdin.read())
    _die_with(given.supervisor)
    faulthandler.enable()
    configure_log()
    board = Board(given.board)
    try:
        _run(part, given, Settings.model_validate(given.settings), board)
    except EdgesmithError as error:
        board.blame(part, str(error))
        sys.exit(FAULT)


def configure_log() -> None:
    """Warnings, and what the loop itself has to say, on standard error."""
    logging.basicConfig(format=_LOG_FORMAT, level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("edgesmith.serve").setLevel(logging.INFO)


def _run(part: Part, given: Given, settings: Settings, board: Board) -> None:
    # Each part imports what it alone needs.
    frames, results = Channel(given.frames), Channel(given.results)
    process = os.getpid()
    if part == "capture":
        from edgesmith.serve.capture import Capture

        Capture(settings, board, frames).run(given.first, process)
    elif part == "inference":
        from edgesmith.serve.inference import Inference

        Inference(settings, board, frames, results).run(process)
    else:
        from edgesmith.serve.sink import Sink
        from edgesmith.serve.targets import open_outputs

        Sink(settings, board, frames, results, open_outputs(settings)).run(process)


def _die_with(supervisor: int) -> None:
    """Have the kernel kill this process when the supervisor ends, however it ends."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it ended before the kernel knew
        sys.exit(1)


if __name__ == "__main__":
    main()
