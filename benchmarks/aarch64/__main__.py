"""`python -m benchmarks.aarch64`: artifacts on ARM binaries against x86 -> docs/aarch64.md."""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from benchmarks.aarch64 import compare, machine, trial
from benchmarks.page import replace_section
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.report.markdown import table

PAGE = Path("docs/aarch64.md")
FORMATS = ("onnx", "ncnn", "tflite")
# By task: what the figures are of, and how many images an emulator can take in minutes.
VARIANTS = {
    "signs": (("mobilenetv2-baseline", "mobilenetv2-qat"), 64),
    "scenes": (("yolo26n-baseline", "yolo26n-qat"), 16),
}


def main() -> None:
    """Prepare the machine, compare, write the table; status 1 where something is out of bounds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.aarch64",
        description="Runs our wheel under an aarch64 Debian in user-mode emulation and compares "
        "what artifacts say with x86. Correctness alone: an emulator's times mean nothing.",
    )
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--root", type=Path, default=Path("tmp/aarch64"), help="kept for next time")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--images", type=int, help="of each artifact, in place of 64 and 16")
    asked = parser.parse_args()
    try:
        arm = machine.prepare(asked.root, Path())
        trials = []
        for data, (variants, count) in VARIANTS.items():
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                tar = asked.data / data / "test.tar"
                pictures = trial.images(tar, asked.images or count, folder)
                for artifact in [asked.artifacts / v / f for v in variants for f in FORMATS]:
                    trials.append(trial.run(arm, artifact, pictures, folder))
                    print(" | ".join(compare.cells(trials[-1].row)), file=sys.stderr)
        replace_section(asked.page, "aarch64", _lines(arm, trials))
    except EdgesmithError as error:
        sys.exit(f"error: {error}")
    if any(done.row.faults for done in trials):
        sys.exit("error: outputs differ by more than they may; see the table's last column")


def _lines(arm: machine.Machine, trials: list[trial.Trial]) -> list[str]:
    engines = {trial.arm.split(" on ")[0] for trial in trials}
    numpys = [trials[0].arm.rpartition(" ")[2], trials[0].x86.rpartition(" ")[2]]
    counts = {trial.row.variant.split("-")[0]: trial.row.images for trial in trials}
    pictures = ", ".join(f"{count} test images for {name}" for name, count in counts.items())
    python = ".".join(map(str, sys.version_info[:2]))
    today = datetime.datetime.now(datetime.UTC).date()
    return [
        *table(compare.HEADERS, [compare.cells(trial.row) for trial in trials]),
        "",
        f"{pictures}. On both sides {', '.join(sorted(engines))}, OpenCV "
        f"{arm.versions['opencv-python-headless']}. aarch64: {arm.system}, numpy {numpys[0]}, "
        f"{arm.emulator} as {machine.CPU}. x86: {fingerprint.fingerprint()['cpu']}, Python "
        f"{python}, numpy {numpys[1]}. `bench` timed {min(trial.runs for trial in trials)} runs or "
        f"more of each artifact there. edgesmith {metadata.version('edgesmith')}, {today}.",
    ]


if __name__ == "__main__":
    main()
