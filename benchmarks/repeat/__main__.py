"""`python -m benchmarks.repeat`: measure cells twice, write how far apart they are."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks.page import replace_section
from benchmarks.repeat import compare
from edgesmith.bench.measure import Settings
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError, ParamsError
from edgesmith.params import load_params
from edgesmith.report.markdown import table

PAGE = Path("docs/bench.md")


def main() -> None:
    """Measure, and write the section of docs/bench.md."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.repeat",
        description="The benchmark stage's measurement, twice back to back. Run it in a built "
        "checkout, with nothing else running.",
    )
    parser.add_argument("--cells", nargs="*", default=[], help="variant.format …; default: all")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument(
        "--stages", action="store_true", help="by `dvc repro -f` of devices/host, all cells"
    )
    asked = parser.parse_args()
    try:
        params = load_params()
        settings = Settings(
            threads=params.runtime.threads,
            providers=tuple(params.runtime.providers),
            **params.bench.model_dump(),
        )
        chosen = compare.cells(params, asked.artifacts, [] if asked.stages else asked.cells)
        if not chosen:
            raise ParamsError(f"{asked.artifacts}: no such cell is built; run `dvc repro`")
        if asked.stages:
            pairs = compare.repeat_stages(chosen)
        else:
            pairs = compare.measure(chosen, settings, lambda line: print(line, file=sys.stderr))
        machine = fingerprint.describe(fingerprint.fingerprint())
        today = datetime.datetime.now(datetime.UTC).date()
        lines = [
            *compare.summary(pairs),
            "",
            *table(compare.HEADERS, compare.rows(pairs)),
            "",
            f"{machine}, {settings.threads} thread(s), {settings.rounds} rounds, {today}.",
        ]
        print("\n".join(lines))
        replace_section(PAGE, "repeat", lines)
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
