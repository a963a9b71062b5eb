"""`python -m benchmarks.recovery ARTIFACT`: measure, and write the section of docs/serve.md."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks.page import replace_section
from benchmarks.recovery import measure
from edgesmith import contract as contracts
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.report.markdown import table

PAGE = Path("docs/serve.md")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recovery",
        description="Kill and freeze each part of a running loop, and time how long no frame "
        "comes. Run it with nothing else running.",
    )
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--repeats", type=int, default=10, help="sessions per fault")
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    try:
        contract = contracts.verify(asked.artifact)
        found = measure.measure(
            asked.artifact, asked.repeats, lambda line: print(line, file=sys.stderr)
        )
        machine = fingerprint.describe(fingerprint.fingerprint())
        today = datetime.datetime.now(datetime.UTC).date()
        lines = [
            *table(measure.HEADERS, measure.rows(found)),
            "",
            f"{contract.variant}.{contract.format}, synthetic source at 30 frames a second, "
            f"newest frame. {machine}, {today}.",
        ]
        print("\n".join(lines))
        replace_section(asked.page, "recovery", lines)
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
