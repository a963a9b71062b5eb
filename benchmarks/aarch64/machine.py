"""A Debian of aarch64 in a folder, with edgesmith in it, and the command that runs its Python.

Emulated in user mode: the kernel is this machine's, every instruction of the program is ARM's. It
says what a Pi computes and nothing of how fast.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from edgesmith import files
from edgesmith.errors import RuntimeUnavailableError

# Raspberry Pi OS is this Debian since October 2025. Its numpy is used, as it is on a Pi.
SUITE = "trixie"
# By tool: the Debian package that has it.
_TOOLS = {"qemu-aarch64-static": "qemu-user-static", "mmdebstrap": "mmdebstrap"}
_PACKAGES = ("base-files", "python3", "python3-numpy", "libgomp1", "libstdc++6")
_LIBRARIES = "/usr/lib/aarch64-linux-gnu"
_EXTRAS = "device-onnx,device-ncnn,device-tflite"
# Compared with this machine's in the same release: what differs is then the processor.
SAME = ("onnxruntime", "ncnn", "ai-edge-litert", "opencv-python-headless")
CPU = "cortex-a76"
# Of a Raspberry Pi 5. ONNX Runtime and LiteRT choose their kernels by this file, and end with a
# segmentation fault on that of an x86 machine; it must fit the processor that qemu is told to be.
_CORE = """processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm \
lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1
"""
_CORES = 4


class Machine(NamedTuple):
    """`python` is a script that runs the emulated interpreter; `versions` of what it has."""

    python: Path
    emulator: str
    system: str
    versions: dict[str, str]

    def run(self, *arguments: str, seconds: float = 900.0) -> str:
        """Standard output of the emulated Python; RuntimeUnavailableError where it fails."""
        return _run([str(self.python), *arguments], seconds)


def why_not() -> str:
    """Why this machine cannot emulate; empty where it can."""
    if sys.platform != "linux":
        return "user-mode emulation is of Linux alone"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing and (shutil.which("apt-get") is None or shutil.which("dpkg") is None):
        packages = " ".join(_TOOLS[tool] for tool in missing)
        return f"no {', '.join(missing)} here, and no apt-get to fetch them; install {packages}"
    return ""


def prepare(folder: Path, source: Path, suite: str = SUITE) -> Machine:
    """The machine in `folder`, made where it is not there yet; edgesmith is built from `source`.

    Raises RuntimeUnavailableError with what failed.
    """
    if why := why_not():
        raise RuntimeUnavailableError(f"no aarch64 here: {why}")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    emulator, bootstrap = (_tool(name, folder) for name in _TOOLS)
    root = folder / suite
    if not root.is_dir():
        _bootstrap(bootstrap, root, suite)
    (root / "proc").mkdir(exist_ok=True)
    cores = "\n".join(_CORE.format(number=number) for number in range(_CORES))
    files.write_text(root / "proc/cpuinfo", cores + "\n")
    interpreter = _interpreter(root)
    site = folder / f"site-{suite}"
    _install(site, interpreter.name.removeprefix("python"), source, folder)
    python = folder / f"python-{suite}"
    files.write_text(python, _script(emulator, root, site, interpreter, python))
    python.chmod(0o755)
    said = _run([str(emulator), "--version"], 60.0).splitlines()[0]
    return Machine(
        python=python,
        emulator=said.split("(")[0].strip().replace("qemu-aarch64 version", "QEMU"),
        system=_system(root),
        versions=_versions(site),
    )


def _tool(name: str, folder: Path) -> Path:
    """A tool of this machine, or that of its Debian package, unpacked without installing it."""
    if found := shutil.which(name):
        return Path(found)
    unpacked = folder / "tools"
    tool = unpacked / "usr/bin" / name
    if not tool.is_file():
        unpacked.mkdir(exist_ok=True)
        package = _TOOLS[name]
        _run(["apt-get", "download", package], 600.0, at=unpacked)
        for archive in unpacked.glob(f"{package}_*.deb"):
            _run(["dpkg", "-x", str(archive), str(unpacked)], 300.0)
            archive.unlink()
    return tool


def _bootstrap(tool: Path, root: Path, suite: str) -> None:
    """Unpack packages without running their scripts: that would take the emulator as root."""
    partial = root.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    options = ["--variant=extract", "--architectures=arm64", f"--include={','.join(_PACKAGES)}"]
    _run([str(tool), *options, suite, str(partial)], 1200.0)
    partial.rename(root)


def _interpreter(root: Path) -> Path:
    found = [path for path in (root / "usr/bin").glob("python3.*") if path.suffix[1:].isdigit()]
    if not found:
        raise RuntimeUnavailableError(f"{root}: no Python; remove the folder and run this again")
    return found[0]


def _install(site: Path, version: str, source: Path, folder: Path) -> None:
    """The wheel of `source` and its runtimes for aarch64; numpy is Debian's."""
    _run([*_UV, "build", "--quiet", "--wheel", "-o", str(folder / "wheel"), str(source)], 300.0)
    wheel = next((folder / "wheel").glob("edgesmith-*.whl"))
    pins = [f"{name}=={metadata.version(name)}" for name in SAME]
    wanted = f"edgesmith[{_EXTRAS}] @ {wheel.as_uri()}"
    shutil.rmtree(site, ignore_errors=True)
    platform = ["--python-platform", "aarch64-manylinux_2_36", "--python-version", version]
    install = [*_UV, "pip", "install", "--quiet", "--only-binary", ":all:", "--target", str(site)]
    _run([*install, *platform, wanted, *pins], 900.0)
    for path in site.glob("numpy*"):
        shutil.rmtree(path)


def _script(emulator: Path, root: Path, site: Path, interpreter: Path, script: Path) -> str:
    """What runs the emulated Python, and what that Python calls itself: it starts workers by it."""
    # No alternatives were set when the packages were unpacked.
    libraries = ":".join(f"{_LIBRARIES}/{name}" for name in ("blas", "lapack"))
    settings = {"PYTHONPATH": str(site), "LD_LIBRARY_PATH": libraries, "PYTHONNOUSERSITE": "1"}
    environment = " ".join(f"-E '{name}={value}'" for name, value in settings.items())
    return (
        "#!/bin/sh\n"
        f"exec '{emulator}' -cpu {CPU} -L '{root}' {environment} -0 '{script}' "
        f"'{interpreter}' \"$@\"\n"
    )


def _system(root: Path) -> str:
    lines = (root / "usr/lib/os-release").read_text().splitlines()
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME")]
    return f"{names[0] if names else 'Debian'}, Python {_interpreter(root).name[6:]}"


def _versions(site: Path) -> dict[str, str]:
    found = {dist.name: dist.version for dist in metadata.distributions(path=[str(site)])}
    return {name: found[name] for name in SAME}


_UV = (sys.executable, "-m", "uv")


def _run(command: Sequence[str], seconds: float, at: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=seconds, cwd=at
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeUnavailableError(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing said").splitlines()[-1]
        raise RuntimeUnavailableError(
            f"`{Path(command[0]).name} {' '.join(command[1:4])} …` ended with status "
            f"{done.returncode}: {said}"
        )
    return done.stdout
