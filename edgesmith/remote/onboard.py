"""What the device does for the host around a job: one operation per call.

The host sends the text of this file to the device's Python (`python3 - OPERATION JSON`): it needs
the standard library alone, and nothing of edgesmith. The answer is one line of JSON after a mark,
for a login script may print too. Any operation may be asked twice: the host repeats one whose
answer was lost with the connection.

A job's folder:

    objects/<sha256>     what was sent, named by its content; <sha256>.part: not whole yet
    package/             edgesmith's device side
    artifact/, baseline/, request.json    what the job reads
    alive                locked by the job for as long as it runs
    pid, log, result.json                 what it writes
    made                 the folders above this one that did not exist before
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from compileall import compile_dir
from pathlib import Path
from typing import Any

MARK = "edgesmith-answer:"
_STALE_SECONDS = 86400
_GRACE_SECONDS = 3.0


def survey(modules: list[str]) -> dict[str, Any]:
    """What this interpreter is, and which of `modules` it does not have."""
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "machine": platform.machine(),
        "missing": [name for name in modules if importlib.util.find_spec(name) is None],
        "time": time.time(),
    }


def prepare(root: str, name: str, adopt_seconds: float) -> dict[str, Any]:
    """Make the job's folder, or say what is in it; remove what killed runs left a day ago."""
    base = Path(root).expanduser()
    folder = base / name
    made = [str(path) for path in (base, *base.parents) if not path.exists()]
    folder.joinpath("objects").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if made:
        folder.joinpath("made").write_text(json.dumps(made))
    for other in base.iterdir():
        if other != folder and other.joinpath("objects").is_dir() and _age(other) > _STALE_SECONDS:
            remove(str(other))
    state = _state(folder)
    if state == "dead" or (state != "new" and _age(folder / "pid") > adopt_seconds):
        _end(folder)
        for file in ("pid", "result.json", "log"):
            folder.joinpath(file).unlink(missing_ok=True)
        state = "new"
    return {"folder": str(folder), "state": state, **have(str(folder))}


def have(folder: str) -> dict[str, Any]:
    """Bytes present of each object, and bytes free beside them."""
    disk = os.statvfs(folder)
    present = {path.stem: path.stat().st_size for path in Path(folder, "objects").iterdir()}
    return {"have": present, "free": disk.f_bavail * disk.f_frsize}


def check(folder: str, hashes: list[str]) -> dict[str, Any]:
    """Which of the objects are not whole; those are removed, to be sent again."""
    damaged = []
    for name in hashes:
        whole = Path(folder, "objects", name)
        part = whole.with_suffix(".part")
        if part.exists():
            if _sha256(part) == name:
                part.replace(whole)
            else:
                part.unlink()
        if not whole.exists():
            damaged.append(name)
    return {"damaged": damaged}


def unpack(folder: str, sha256: str) -> dict[str, Any]:
    """Unpack the package and compile it, so that no process of a measurement has to."""
    package, half = Path(folder, "package"), Path(folder, "package.half")
    if not package.exists():
        shutil.rmtree(half, ignore_errors=True)
        with zipfile.ZipFile(Path(folder, "objects", sha256)) as archive:
            archive.extractall(half)
        compile_dir(half, quiet=2, stripdir=half, prependdir=package)
        half.replace(package)
    return {"package": str(package)}


def start(
    folder: str, files: dict[str, dict[str, str]], request: str, environment: dict[str, str]
) -> dict[str, Any]:
    """Lay out the job's files and start it, detached from this connection; once."""
    job = Path(folder)
    claim = os.open(job, os.O_RDONLY)
    fcntl.flock(claim, fcntl.LOCK_EX)  # until this process ends
    if (state := _state(job)) != "new":
        return {"state": state}
    for place, names in files.items():
        job.joinpath(place).mkdir(exist_ok=True)
        for name, sha256 in names.items():
            _place(job / "objects" / sha256, job / place / name)
    job.joinpath("request.json").write_text(request)
    # The job inherits the lock with the open file: it is never seen as ended before it began.
    alive = os.open(job / "alive", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    path = os.pathsep.join(filter(None, [str(job / "package"), os.environ.get("PYTHONPATH")]))
    with job.joinpath("log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgesmith.remote.job", "run", folder],
            cwd=job,
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": path,
                # Engines leave files in ~/.cache (ONNX Runtime 1.31 a data base of its own).
                "XDG_CACHE_HOME": str(job / "cache"),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[alive],
            start_new_session=True,
        )
    half = job / "pid.half"
    half.write_text(str(process.pid))
    half.replace(job / "pid")
    return {"state": "running"}


def wait(folder: str, seconds: int) -> dict[str, Any]:
    """How the job is, once it ended or the time is over.

    Sleeps on the job's lock: nothing wakes up on the device while it measures.
    """
    job = Path(folder)

    def ring(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    with contextlib.suppress(OSError), job.joinpath("alive").open("rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_SH)
        signal.alarm(0)
    signal.alarm(0)
    answer: dict[str, Any] = {"state": _state(job)}
    if answer["state"] == "finished":
        answer["result"] = job.joinpath("result.json").read_text()
    if answer["state"] == "dead":
        answer["log"] = job.joinpath("log").read_text(errors="replace")[-2000:]
    return answer


def remove(folder: str) -> dict[str, Any]:
    """End the job if it runs, and remove its folder and those that were made for it."""
    job = Path(folder)
    _end(job)
    made: list[str] = []
    with contextlib.suppress(OSError, ValueError):
        made = json.loads(job.joinpath("made").read_text())
    shutil.rmtree(job, ignore_errors=True)
    with contextlib.suppress(OSError):  # another job is in it
        for parent in made:
            Path(parent).rmdir()
    return {"left": job.exists()}


def _place(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a FAT file system, such as that of a memory card
        shutil.copyfile(source, target)


def _state(job: Path) -> str:
    """One of new, running, finished, dead."""
    if not job.joinpath("pid").exists():
        return "new"
    if _is_locked(job):
        return "running"
    return "finished" if job.joinpath("result.json").exists() else "dead"


def _is_locked(job: Path) -> bool:
    try:
        with job.joinpath("alive").open("rb") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _end(job: Path) -> None:
    """End the job's processes; the number in `pid` is theirs for as long as the lock is held."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _is_locked(job):
            return
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int(job.joinpath("pid").read_text()), number)
        until = time.monotonic() + _GRACE_SECONDS
        while _is_locked(job) and time.monotonic() < until:
            time.sleep(0.05)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime
    return 0.0


def main() -> None:
    """Do what the arguments say and print the answer."""
    operations = (survey, prepare, have, check, unpack, start, wait, remove)
    asked = {operation.__name__: operation for operation in operations}[sys.argv[1]]
    try:
        answer = asked(**json.loads(sys.argv[2]))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        answer = {"error": f"{where}{error.strerror or error}", "errno": error.errno}
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
