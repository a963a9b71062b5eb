"""How a device is used, apart from what is measured on it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

FOLDER = "~/.cache/edgesmith/remote"


def say_on_stderr(message: str) -> None:
    """Print a line of progress where it does not mix with results."""
    print(message, file=sys.stderr, flush=True)


class Options(NamedTuple):
    """How a device is used.

    `folder` is the work folder there, empty again afterwards; `timeout_s` bounds a whole run,
    the reconnecting of the host as much as the job on the device; a job that the same command
    started and lost within `adopt_s` seconds is taken over instead of started again.
    """

    folder: str = FOLDER
    timeout_s: float = 1800.0
    adopt_s: float = 1800.0
    say: Callable[[str], None] = say_on_stderr
