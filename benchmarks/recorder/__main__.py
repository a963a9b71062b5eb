"""`python -m benchmarks.recorder`: measure, and write the section of docs/bench.md."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks.page import replace_section
from benchmarks.recorder import compare
from edgesmith.bench.process import Settings
from edgesmith.device import fingerprint
from edgesmith.device.sensors.find import find
from edgesmith.errors import EdgesmithError
from edgesmith.params import load_params
from edgesmith.report.markdown import table

PAGE = Path("docs/bench.md")
ARTIFACTS = [Path("artifacts/mobilenetv2-qat/tflite"), Path("artifacts/yolo26n-qat/onnx")]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recorder",
        description="The same artifact with the machine's sensors read beside it and without, by "
        "turns. Run it in a built checkout, with nothing else running.",
    )
    parser.add_argument("artifacts", nargs="*", type=Path, default=ARTIFACTS)
    parser.add_argument("--pairs", type=int, default=12)
    asked = parser.parse_args()
    try:
        params = load_params()
        settings = Settings(threads=params.runtime.threads, **params.bench.model_dump())
        sensors = find()
        rows = [compare.compare(path, settings, asked.pairs, sensors) for path in asked.artifacts]
        machine = fingerprint.describe(fingerprint.fingerprint())
        today = datetime.datetime.now(datetime.UTC).date()
        lines = [
            *table(compare.HEADERS, compare.texts(rows)),
            "",
            f"{machine}, {settings.threads} thread(s), {asked.pairs} pairs of measurements, "
            f"{today}.",
        ]
        print("\n".join(lines))
        replace_section(PAGE, "recorder", lines)
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
