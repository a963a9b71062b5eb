"""Where Hailo's compiler is, and how it is called."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edgesmith.formats.hailo.settings import Compile
from edgesmith.hef.errors import HailoError

# What a bundle's script is called, and what it writes.
SCRIPT = "compile_hef.py"
HEF, RESULT, EMULATED = "model.hef", "result.json", "emulated.npz"
# Prints the compiler's version, or fails.
_ASK = (
    "import importlib.metadata as m, hailo_sdk_client\n"
    "names = {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}\n"
    "print(names['hailo-dataflow-compiler'])"
)
_DOWNLOAD = (
    "the Dataflow Compiler (x86-64 Linux) comes from Hailo's developer zone, 3.x for Hailo-8, 8L "
    "and 8R, 5.x for Hailo-10H and 15. In toolchains/hailo/params.yaml set compile.python to a "
    "Python that has it, or compile.backend to docker (its image) or bundle (another machine)"
)


def probe(settings: Compile) -> dict[str, str]:
    """Which compiler `settings` lead to; HailoError with the remedy where there is none."""
    if settings.backend == "bundle":
        return {"backend": "bundle", "dfc": "on another machine"}
    command = [settings.python, "-c", _ASK]
    if settings.backend == "docker":
        command = ["docker", "run", "--rm", settings.image, "python3", "-c", _ASK]
    where = settings.image if settings.backend == "docker" else settings.python
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise HailoError(
            f"hailo: {command[0]} cannot be started ({error.strerror}); {_DOWNLOAD}"
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise HailoError(f"hailo: no Dataflow Compiler in {where} ({last}); {_DOWNLOAD}")
    return {"backend": settings.backend, "dfc": done.stdout.strip().splitlines()[-1]}


def compile_bundle(bundle: Path, out: Path, returned: Path, settings: Compile) -> Path:
    """The folder with model.hef, result.json and emulated.npz of the bundle.

    `out` takes what a compiler here writes; `returned` is where a user puts what another machine
    wrote. Raises HailoError when the compiler fails or is still to be run.
    """
    if settings.backend == "bundle":
        if (returned / HEF).is_file():
            return returned
        raise HailoError(
            f"{bundle} is ready for a machine with the Dataflow Compiler. There: copy the folder, "
            f"run `python {SCRIPT}`. Then: copy {HEF}, {RESULT} and {EMULATED} from it "
            f"into {returned} and repeat the command"
        )
    script = bundle / SCRIPT
    command = [settings.python, str(script), "--out", str(out)]
    if settings.backend == "docker":
        mounts = ["-v", f"{bundle.resolve()}:/bundle:ro", "-v", f"{out.resolve()}:/out"]
        inside = ["python3", f"/bundle/{SCRIPT}", "--out", "/out"]
        command = ["docker", "run", "--rm", *mounts, settings.image, *inside]
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise HailoError(
            f"hailo: {command[0]} cannot be started ({error.strerror}); {_DOWNLOAD}"
        ) from error
    if code != 0 or not (out / HEF).is_file():
        raise HailoError(f"{bundle}: the compiler ended with status {code}; its output says why")
    return out
