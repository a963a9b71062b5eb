"""Files of the installed libraries that no command on a device ever opens, and how to do without.

Wheels hold what every user of a library may want: its tests, its tools for build hosts, its second
engine. On a board with 16 GB of flash that is a third of what edgesmith needs there.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from edgesmith.errors import EdgesmithError

_BLOCK = 512  # of st_blocks, in bytes


class SlimError(EdgesmithError):
    """This Python is not an environment of edgesmith's own."""


class Part(NamedTuple):
    """What can go of a distribution: patterns of paths as its RECORD has them (`*` matches `/`)."""

    distribution: str
    patterns: tuple[str, ...]
    why: str


PARTS = (
    Part(
        "onnxruntime",
        ("onnxruntime/capi/libonnxruntime.so*",),
        "the library for C programs: the Python module holds a copy of its own",
    ),
    Part(
        "onnxruntime",
        tuple(f"onnxruntime/{name}/*" for name in ("transformers", "quantization", "tools")),
        "tools that change models: those of the build host",
    ),
    Part(
        "ai-edge-litert",
        ("ai_edge_litert/libLiteRtWebGpuAccelerator.so",),
        "the engine for WebGPU: the interpreter runs on the CPU",
    ),
    Part(
        "ai-edge-litert",
        ("ai_edge_litert/aot/*", "ai_edge_litert/tools/*"),
        "compilers for phones' accelerators",
    ),
    Part("numpy", ("numpy/tests/*", "numpy/*/tests/*"), "tests"),
    Part("numpy", ("numpy/f2py/*", "numpy/distutils/*"), "builds of Fortran and C extensions"),
    Part("opencv-python-headless", ("cv2/data/*.xml",), "cascades of face detectors (OpenCV 4)"),
)


class Removable(NamedTuple):
    """What of a part is here: files below `site`, and the bytes that they take on the disk."""

    part: Part
    version: str
    files: tuple[Path, ...]
    bytes: int


def find(site: Path) -> list[Removable]:
    """What can go of the distributions in `site`, a site-packages folder.

    Only what a distribution itself lists as its own: nothing that anybody else put there.
    """
    found = []
    installed = {dist.name.lower(): dist for dist in metadata.distributions(path=[str(site)])}
    for part in PARTS:
        if (dist := installed.get(part.distribution)) is None:
            continue
        listed = [str(path) for path in dist.files or ()]
        wanted = [name for name in listed if any(fnmatchcase(name, p) for p in part.patterns)]
        paths = [path for name in wanted if (path := site / name).is_file()]
        if paths:
            size = sum(path.stat().st_blocks for path in paths) * _BLOCK
            found.append(Removable(part, dist.version, tuple(paths), size))
    return found


def remove(site: Path, removable: list[Removable]) -> None:
    """Delete the files, with the bytecode that Python wrote for them and folders left empty."""
    for path in [path for one in removable for path in one.files]:
        path.unlink(missing_ok=True)
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)
        for folder in (path.parent / "__pycache__", path.parent, *path.parent.parents):
            if folder == site or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def own_site() -> Path:
    """The site-packages folder of this virtual environment.

    Raises SlimError outside of one: other programs use the system's libraries.
    """
    if sys.prefix == sys.base_prefix:
        raise SlimError(
            f"{sys.prefix} is no virtual environment: other programs may need what would go; "
            "install edgesmith into one (docs/install.md)"
        )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(sys.prefix) / "lib" / version / "site-packages"
