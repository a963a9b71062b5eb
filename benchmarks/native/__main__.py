"""`python -m benchmarks.native`: measure, and write the table of docs/native-check.md."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks.native import compare
from benchmarks.page import replace_section
from edgesmith.bench.process import Settings
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.params import load_params
from edgesmith.report.markdown import table

PAGE = Path("docs/native-check.md")
ARTIFACTS = [
    Path("artifacts") / variant / format_name
    for format_name in compare.LOOPS
    for variant in ("mobilenetv2-baseline", "mobilenetv2-qat", "yolo26n-qat")
]


def main() -> None:
    """Measure and write the page's table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.native",
        description="Our figure of an artifact beside a bare loop over its runtime, in turns. Run "
        "it in a built checkout, with nothing else running.",
    )
    parser.add_argument("artifacts", nargs="*", type=Path, default=ARTIFACTS)
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    try:
        params = load_params()
        bench = params.bench.model_copy(update={"rounds": asked.rounds})
        settings = Settings(threads=params.runtime.threads, **bench.model_dump())
        rows = []
        for artifact in asked.artifacts:
            rows += compare.compare(artifact, settings)
            print(" | ".join(compare.texts(rows)[-1]), file=sys.stderr)
        machine = fingerprint.describe(fingerprint.fingerprint())
        today = datetime.datetime.now(datetime.UTC).date()
        warm = sorted(row.warmup_runs for row in rows)
        lines = [
            *table(compare.HEADERS, compare.texts(rows)),
            "",
            f"{machine}; {settings.threads} thread(s), warm-up {warm[0]} to {warm[-1]} runs, "
            f"{settings.rounds} rounds in turns, {today}.",
        ]
        print("\n".join(lines))
        replace_section(PAGE, "native", lines)
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
