"""A Python with the device side's libraries and nothing else, readable by any account."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

# What `edgesmith.remote.preflight` asks of a device, and one engine.
LIBRARIES = ("numpy", "opencv-python-headless", "pydantic", "psutil")
ENGINE = "onnxruntime"
_NOT_NEEDED = ("site-packages", "dist-packages", "test", "idlelib", "tkinter", "ensurepip")


class Pythons(NamedTuple):
    """Interpreters on the device: with everything, without the engine, without any library."""

    whole: Path
    without_engine: Path
    bare: Path


def make_pythons(folder: Path) -> Pythons:
    """Link this interpreter and the installed libraries below `folder`.

    The virtual environment of a checkout may be where no other account can read, and holds more
    than a device has.
    """
    root = folder / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    executable = root / "bin" / version
    executable.parent.mkdir(parents=True)
    shutil.copy(Path(sys.executable).resolve(), executable)
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        root / "lib" / version,
        copy_function=_link,
        ignore=shutil.ignore_patterns(*_NOT_NEEDED),
    )
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        _link(str(shared), str(root / "lib" / shared.name))
    libraries, engine = root / "libraries", root / "engine"
    common = _closure(LIBRARIES)
    _install(common, libraries)
    _install(_closure([ENGINE]) - common, engine)
    return Pythons(
        _wrapper(root / "python3", executable, [libraries, engine]),
        _wrapper(root / "python3-without-engine", executable, [libraries]),
        _wrapper(root / "python3-bare", executable, []),
    )


def _wrapper(path: Path, executable: Path, places: list[Path]) -> Path:
    """A script that runs the interpreter with these places before its own."""
    first = ":".join(map(str, places))
    path.write_text(
        f"#!/bin/sh\nexport PYTHONPATH=${{PYTHONPATH:+$PYTHONPATH:}}{first}\n"
        f"export LD_LIBRARY_PATH={executable.parents[1]}/lib\n"
        f'exec {executable} "$@"\n'
    )
    path.chmod(0o755)
    return path


def _closure(names: Iterable[str]) -> set[str]:
    """Distributions and what they require, as far as it is installed."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [
            match[0].lower()
            for line in required
            if "extra" not in line and (match := re.match(r"[\w.-]+", line))
        ]
    return found


def _install(names: Iterable[str], place: Path) -> None:
    place.mkdir()
    for name in names:
        for file in metadata.files(name) or []:
            source = Path(str(file.locate()))
            if ".." in file.parts or not source.is_file():
                continue
            target = place / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _link(str(source), str(target))


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
    return target
