"""`python -m benchmarks.install`: device extras on the disk, commands' start -> docs/install.md."""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from benchmarks.install import sizes, start
from benchmarks.install.sizes import Installed
from benchmarks.page import replace_section
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.report.markdown import table

PAGE = Path("docs/install.md")
LIMIT_MB = 150
VARIANTS = ("mobilenetv2-qat", "yolo26n-qat")
# Below this a distribution is one of many in the table's last row.
_SMALL = 1.5e6
# The Pi's Debian has this interpreter, and this library from its own package.
PYTHON, SYSTEM = "3.13", "numpy"
# Of docs/install.md: what a core of a Raspberry Pi 5 is taken to need for one second of this one.
PI = 3


def main() -> None:
    """Install, measure, write both sections."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.install",
        description="Installs every device extra for aarch64 and x86-64, counts what is on the "
        "disk, and times the start of commands here.",
    )
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--python", default=PYTHON, help="version that the sizes are of")
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            wheel = sizes.build(Path(), folder)
            installed = [
                sizes.install(wheel, platform, extra, asked.python, folder / "site")
                for platform in sizes.PLATFORMS
                for extra in sizes.EXTRAS
            ]
            replace_section(asked.page, "sizes", _sizes(installed, wheel, asked.python))
            replace_section(asked.page, "start", _starts(wheel, folder, asked.artifacts))
    except EdgesmithError as error:
        sys.exit(f"error: {error}")


def _sizes(installed: list[Installed], wheel: Path, python: str) -> list[str]:
    totals = [
        (
            *(one.extra, one.platform),
            *(_mb(one.total), _mb(one.total - one.sizes[SYSTEM])),
            *(_mb(one.without()), _mb(one.without(SYSTEM))),
            "yes" if one.without(SYSTEM) <= LIMIT_MB * 1e6 else "**no**",
        )
        for one in installed
    ]
    arm = [one for one in installed if one.platform == "aarch64"]
    names = sorted(
        {name for one in arm for name in one.sizes},
        key=lambda name: -max(one.sizes.get(name, 0) for one in arm),
    )
    large = [name for name in names if max(one.sizes.get(name, 0) for one in arm) >= _SMALL]
    versions = {name: version for one in arm for name, version in one.versions.items()}
    rows = [
        (
            f"{name} {versions.get(name, '')}".strip(),
            *(_mb(one.sizes[name]) if name in one.sizes else "" for one in arm),
            _mb(max(one.removable.get(name, 0) for one in arm)) or "",
        )
        for name in large
    ]
    rest = [sum(size for name, size in one.sizes.items() if name not in large) for one in arm]
    count = len(names) - len(large)
    rows.append((f"{count} others", *map(_mb, rest), ""))
    return [
        *table(
            (
                *("extra", "machine", "pip alone, MB", f"with the system's {SYSTEM}"),
                *("pip alone, after `slim`", f"with the system's {SYSTEM}, after `slim`"),
                f"the last is at most {LIMIT_MB} MB",
            ),
            totals,
        ),
        "",
        "What takes the space on aarch64, MB:",
        "",
        *table(("distribution", *(one.extra for one in arm), "of it `slim` removes"), rows),
        "",
        f"MB are 10⁶ bytes of disk blocks, without bytecode. Python {python}, wheels of manylinux "
        f"2.36 or older, the newest releases on {_today()}, uv {metadata.version('uv')}. The wheel "
        f"of edgesmith {metadata.version('edgesmith')} is {wheel.stat().st_size / 1e6:.2f} MB.",
    ]


def _starts(wheel: Path, folder: Path, artifacts: Path) -> list[str]:
    image = folder / "frame.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    cv2.imwrite(str(image), cv2.resize(pixels, (640, 480), interpolation=cv2.INTER_CUBIC))
    rows: list[tuple[str, ...]] = []
    notes = []
    for extra in sizes.EXTRAS:
        python = start.environment(folder / extra, wheel, extra)
        format_name = extra.removeprefix("device-")
        commands: list[tuple[str, tuple[str, ...]]] = []
        if extra == sizes.EXTRAS[0]:
            commands += [
                ("python -c pass", ("-c", "pass")),
                ("import edgesmith", ("-c", "import edgesmith")),
                ("edgesmith --help", ("-m", "edgesmith", "--help")),
            ]
        first = artifacts / VARIANTS[0] / format_name
        commands.append((f"inspect, {format_name}", ("-m", "edgesmith", "inspect", str(first))))
        for variant in VARIANTS:
            artifact = str(artifacts / variant / format_name)
            command = f"predict, {format_name}, {variant}"
            commands.append((command, ("-m", "edgesmith", "predict", artifact, str(image))))
        for name, arguments in commands:
            measured = start.measure(python, name, *arguments)
            rows.append((f"`{name}`", f"{measured.cpu_s:.2f}", f"{PI * measured.cpu_s:.1f}"))
            print(" | ".join(rows[-1]), file=sys.stderr)
        module = {"ncnn": "ncnn", "onnx": "onnxruntime", "tflite": "litert"}[format_name]
        costly = start.slowest(
            python, f"import edgesmith.cli_predict, edgesmith.runtimes.{module}", 6
        )
        notes.append(f"{format_name}: " + ", ".join(f"{name} {ms:.0f}" for name, ms in costly))
    machine = fingerprint.fingerprint()
    return [
        *table(("command", "CPU here, s", f"× {PI}: a Pi 5, s"), rows),
        "",
        f"Medians of {start.TIMES} runs after one that fills the caches, user and system time; "
        f"{machine['cpu']}, {machine['python']}, {_today()}. `predict` is one process from its "
        "start to the printed result of one 640×480 JPEG.",
        "",
        "By themselves, in ms, under `-X importtime` (which adds to each): "
        + "; ".join(notes)
        + ".",
    ]


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}" if size else ""


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


if __name__ == "__main__":
    main()
