"""`python -m benchmarks.resolution`: repeat the trial, write how often it was right."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks.page import replace_section
from benchmarks.resolution import trial
from edgesmith.bench.process import Settings
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.params import load_params
from edgesmith.report.markdown import table

PAGE = Path("docs/bench.md")
HEADERS = (
    *("artifact", "slowed, ratio (least, middle, most)", "told apart"),
    *("copy, ratio", "false alarms", "interval"),
)
ARTIFACTS = [
    Path("artifacts/mobilenetv2-baseline/onnx"),
    Path("artifacts/mobilenetv2-qat/tflite"),
    Path("artifacts/yolo26n-qat/onnx"),
]


def main() -> None:
    """Run the trials and write their section of docs/bench.md."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.resolution",
        description="An artifact, a copy of it and one slowed by 5 % in one interleaved run, "
        "several times over. Run it in a built checkout, with nothing else running.",
    )
    parser.add_argument("artifacts", nargs="*", type=Path, default=ARTIFACTS)
    parser.add_argument("--times", type=int, default=8, help="trials of each artifact")
    parser.add_argument("--rounds", type=int, default=16, help="rounds of one run")
    asked = parser.parse_args()
    try:
        params = load_params()
        settings = Settings(
            threads=params.runtime.threads,
            providers=tuple(params.runtime.providers),
            **params.bench.model_dump() | {"rounds": asked.rounds},
        )
        rows = []
        for artifact in asked.artifacts:
            trials = [trial.run(artifact, settings) for _ in range(asked.times)]
            rows.append(trial.row(f"{artifact.parent.name}.{artifact.name}", trials))
            print(" | ".join(rows[-1]), file=sys.stderr)
        machine = fingerprint.describe(fingerprint.fingerprint())
        today = datetime.datetime.now(datetime.UTC).date()
        lines = [
            *table(HEADERS, rows),
            "",
            f"{machine}, {settings.threads} thread(s), {settings.rounds} rounds, {today}.",
        ]
        replace_section(PAGE, "resolution", lines)
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
