"""Run an artifact on its golden image before it becomes the active one, in a process of its own.

A runtime that crashes on a network, or never comes back, must not take the pull with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import edgesmith
from edgesmith.deliver.errors import SelfTestError
from edgesmith.errors import EdgesmithError

PATIENCE_SECONDS = 300.0


class Tested(NamedTuple):
    """How an artifact did: agreement with what was published, load and first run in ms."""

    sqnr_db: float
    load_ms: float
    run_ms: float
    engine: str


def environment() -> dict[str, str]:
    """Of a child that imports this very package, whatever folder it is started in."""
    root = str(Path(edgesmith.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def test(
    folder: Path,
    image: Path,
    output: Path,
    min_sqnr_db: float,
    patience_s: float = PATIENCE_SECONDS,
) -> Tested:
    """Run the artifact in `folder`; SelfTestError if it fails or differs by more than allowed."""
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgesmith.deliver.selftest", folder, image, output],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            start_new_session=True,
            env=environment(),
        )
        try:
            printed, _ = process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired as fault:
            raise SelfTestError(
                f"{folder.name}: no result in {patience_s:.0f} s; its runtime hangs here"
            ) from fault
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        messages.seek(0)
        said = messages.read(1 << 16).decode(errors="replace").strip()
    found = _result(process.returncode, printed, said, folder.name)
    if not found.sqnr_db >= min_sqnr_db:
        raise SelfTestError(
            f"{folder.name}: on the golden image it gives another output here than where it was "
            f"published ({found.sqnr_db:.1f} dB; at least {min_sqnr_db:g} dB is asked); "
            f"{found.engine} computes it wrongly on this processor, or another network was "
            "published: try another --format"
        )
    return found


def _result(status: int, printed: bytes, said: str, name: str) -> Tested:
    if status < 0:
        ended = signal.Signals(-status).name
        raise SelfTestError(f"{name}: its runtime crashed ({ended}) on the golden image: {said}")
    try:
        value: dict[str, Any] = json.loads(printed)
    except ValueError as fault:
        last = said.splitlines()[-1] if said else "no message"
        raise SelfTestError(f"{name}: the self-test ended with status {status}: {last}") from fault
    if "error" in value:
        raise SelfTestError(f"{name}: does not run here: {value['error']}")
    return Tested(**value)


def _main(folder: Path, image: Path, output: Path) -> dict[str, Any]:
    # Heavy, and of no use to the process that only starts this one.
    from edgesmith.deliver import golden  # noqa: PLC0415
    from edgesmith.runtimes import session as runtimes  # noqa: PLC0415

    try:
        expected = golden.decode(output)
        start = time.perf_counter()
        session = runtimes.load(folder)
        loaded = time.perf_counter()
        given = golden.run(session, image.read_bytes(), str(image))
        ended = time.perf_counter()
    except EdgesmithError as fault:
        return {"error": str(fault)}
    return {
        "sqnr_db": round(golden.sqnr_db(given, expected), 3),
        "load_ms": round((loaded - start) * 1e3, 3),
        "run_ms": round((ended - loaded) * 1e3, 3),
        "engine": session.engine,
    }


if __name__ == "__main__":
    print(json.dumps(_main(*map(Path, sys.argv[1:]))))
