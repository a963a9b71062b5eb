"""`python -m benchmarks.tracking ARTIFACT…`: tracks against known ones, into docs/tracking.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.page import replace_section
from benchmarks.tracking import page
from benchmarks.tracking.compare import POLICIES, SEEDS, Comparison, compare, render
from edgesmith import files
from edgesmith.errors import EdgesmithError
from edgesmith.film.shoot import Script

PAGE = Path("docs/tracking.md")
PLOT = Path("docs/images/tracking.png")
RECORD = Path("benchmarks/tracking/results.json")


def main() -> None:
    """Render the films that are missing, try every policy, write record, table and plot."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tracking",
        epilog="Example: python -m benchmarks.tracking artifacts/yolo26n-qat/ncnn "
        "artifacts/yolo26n-qat/onnx",
    )
    parser.add_argument("artifacts", nargs="*", type=Path, help="detectors; none: pages anew")
    parser.add_argument("--films", type=Path, default=Path("tmp/films"), help="where films lie")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each film")
    given = parser.parse_args()
    try:
        if given.artifacts:
            script = Script(seconds=given.seconds)
            render(given.films, script, SEEDS, _say)
            made = [
                compare(artifact, given.films, script, SEEDS, POLICIES, _say)
                for artifact in given.artifacts
            ]
            files.write_json(RECORD, [one.model_dump(mode="json") for one in made])
        comparisons = [Comparison.model_validate(one) for one in json.loads(RECORD.read_text())]
        files.write_bytes(PLOT, page.quality_png(comparisons))
        replace_section(PAGE, "tracking", page.lines(comparisons))
    except EdgesmithError as error:
        sys.exit(f"Error: {error}")
    _say(f"{PAGE}, {PLOT}, {RECORD}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
