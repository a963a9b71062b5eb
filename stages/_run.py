"""How a stage starts and fails: arguments in, one message and exit status 1 on a user's error."""

from __future__ import annotations

import sys
from collections.abc import Callable

from edgesmith.errors import EdgesmithError


def main(run: Callable[..., None]) -> None:
    """Call `run` with the command line's arguments; print an EdgesmithError without traceback."""
    try:
        run(*sys.argv[1:])
    except EdgesmithError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: what was trained so far is kept; run the same command to go on")
