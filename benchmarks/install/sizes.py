"""Bytes that an installed extra takes on the disk, by distribution."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from edgesmith.device import slim
from edgesmith.errors import RuntimeUnavailableError

EXTRAS = ("device-ncnn", "device-onnx", "device-tflite")
# By what the kernel calls the machine: what its wheels are called. 2.36 is Debian 12's C library.
PLATFORMS = {"aarch64": "aarch64-manylinux_2_36", "x86-64": "x86_64-manylinux_2_36"}
_BLOCK = 512  # of st_blocks, in bytes


class Installed(NamedTuple):
    """An extra in a folder of its own: bytes by distribution, and of these what `slim` removes."""

    platform: str
    extra: str
    sizes: dict[str, int]
    versions: dict[str, str]
    removable: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes that pip leaves."""
        return sum(self.sizes.values())

    def without(self, *distributions: str) -> int:
        """Bytes left after `slim` where these distributions are the system's."""
        return sum(
            size - self.removable.get(name, 0)
            for name, size in self.sizes.items()
            if name not in distributions
        )


def build(source: Path, folder: Path) -> Path:
    """The wheel of edgesmith, built from `source`."""
    uv("build", "--quiet", "--wheel", "-o", str(folder), str(source))
    return next(folder.glob("edgesmith-*.whl"))


def install(wheel: Path, platform: str, extra: str, python: str, site: Path) -> Installed:
    """What an extra takes on a platform; `python` is a version such as 3.13.

    Without bytecode, which Python writes for what it imports when it imports it. Raises
    RuntimeUnavailableError where a wheel is missing.
    """
    shutil.rmtree(site, ignore_errors=True)
    uv(
        *("pip", "install", "--quiet", "--only-binary", ":all:", "--target", str(site)),
        *("--python-platform", PLATFORMS[platform], "--python-version", python),
        f"edgesmith[{extra}] @ {wheel.as_uri()}",
    )
    found = list(metadata.distributions(path=[str(site)]))
    removable: dict[str, int] = {}
    for one in slim.find(site):
        removable[one.part.distribution] = removable.get(one.part.distribution, 0) + one.bytes
    sizes = {dist.name: _disk(dist, site) for dist in found}
    if stray := _tree(site) - sum(sizes.values()):
        sizes["folders"] = stray
    return Installed(platform, extra, sizes, {d.name: d.version for d in found}, removable)


def uv(*arguments: str) -> None:
    """Run uv; RuntimeUnavailableError with what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], check=False, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stderr.strip() or f"status {done.returncode}").splitlines()
        raise RuntimeUnavailableError(f"uv {arguments[0]}: {' '.join(said)[:300]}")


def _disk(distribution: metadata.Distribution, site: Path) -> int:
    names = {str(path) for path in distribution.files or ()}
    return sum(_blocks(site / name) for name in names)


def _tree(site: Path) -> int:
    return _blocks(site) + sum(_blocks(path) for path in site.rglob("*"))


def _blocks(path: Path) -> int:
    return path.lstat().st_blocks * _BLOCK if path.exists() or path.is_symlink() else 0
