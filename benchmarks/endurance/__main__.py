"""`python -m benchmarks.endurance ARTIFACT`: watch, and write the section of docs/serve.md."""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from pathlib import Path

from benchmarks.endurance import measure
from benchmarks.endurance.plot import memory_png
from benchmarks.page import replace_section
from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.report.markdown import table

PAGE = Path("docs/serve.md")
PICTURE = Path("docs/images/endurance.png")


def main() -> None:
    """Watch and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endurance",
        description="Run the loop as fast as it goes and watch memory and descriptors of each of "
        "its processes.",
    )
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    asked = parser.parse_args()
    try:
        contract = contracts.verify(asked.artifact)
        with tempfile.TemporaryDirectory() as folder:
            options = [
                *("--http", "127.0.0.1:0", "--events", f"{folder}/events.db"),
                *("--video", f"{folder}/seen.mkv", "--every", "1"),
            ]
            with measure.session(asked.artifact, Path(folder) / "seen.jsonl", options) as running:
                rows = measure.watch(
                    running,
                    asked.minutes,
                    asked.interval,
                    lambda line: print(line, file=sys.stderr),
                )
                summary = running.stop()
        name = f"{contract.variant}.{contract.format}"
        files.write_bytes(asked.picture, memory_png(rows, f"edgesmith serve, {name}"))
        machine = fingerprint.describe(fingerprint.fingerprint())
        today = datetime.datetime.now(datetime.UTC).date()
        replaced = sum(summary["restarts"].values())
        lines = [
            *table(measure.HEADERS, measure.table_rows(rows)),
            "",
            f"{asked.minutes:g} minutes, {name}, {summary['frames']} frames "
            f"({summary['fps']:.0f} a second: {summary['fps'] * asked.minutes / 30:.0f} minutes of "
            f"a camera), the model on every one, live page, events, annotated video and "
            f"JSON lines; {replaced} parts replaced. {machine}, {today}.",
            "",
            f"![memory and descriptors over time](images/{asked.picture.name})",
        ]
        print("\n".join(lines))
        replace_section(asked.page, "endurance", lines)
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
