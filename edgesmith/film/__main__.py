"""`python -m edgesmith.film OUT`: a video of moving signs with its true tracks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgesmith.errors import EdgesmithError
from edgesmith.film import store
from edgesmith.film.shoot import Script


def main() -> None:
    """Render one film; its arguments alone decide every pixel."""
    parser = argparse.ArgumentParser(
        prog="python -m edgesmith.film",
        description="Render a video of moving traffic signs with their true tracks.",
        epilog="Example: python -m edgesmith.film tmp/film --seconds 20 --fps 30 --seed 1",
    )
    plain = Script()
    parser.add_argument("out", type=Path, help="folder of the video, gt/gt.txt and seqinfo.ini")
    parser.add_argument("--seconds", type=float, default=plain.seconds)
    parser.add_argument("--fps", type=float, default=plain.fps)
    parser.add_argument("--seed", type=int, default=plain.seed)
    parser.add_argument("--width", type=int, default=plain.width)
    parser.add_argument("--height", type=int, default=plain.height)
    parser.add_argument(
        "--difficulty", type=float, default=plain.difficulty, help="0 (clean) to 1 (noisy, dim)"
    )
    parser.add_argument(
        "--together", type=float, default=plain.together, help="plates at a time, on average"
    )
    given = vars(parser.parse_args())
    out = given.pop("out")
    script = Script(**given)
    try:
        tracks = store.write(out, script)
    except EdgesmithError as error:
        sys.exit(f"Error: {error}")
    print(f"{out / store.VIDEO}: {script.frames} frames; {out / store.TRACKS}: {tracks} tracks")


if __name__ == "__main__":
    main()
