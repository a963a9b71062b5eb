"""`python -m edgesmith.remote.job`: what runs on the device, with the device side's own code.

`run FOLDER` measures as FOLDER/request.json asks; the outcome goes to FOLDER/result.json.
`probe NAME` prints the device's record. `check FILE` loads the engine for the contract in FILE, and
prints what is missing.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesmith import files
from edgesmith.bench.measure import measure_pair
from edgesmith.contract import Contract
from edgesmith.device import fingerprint
from edgesmith.errors import EdgesmithError
from edgesmith.remote.onboard import MARK
from edgesmith.remote.request import Outcome, Request
from edgesmith.runtimes import session


def run(folder: Path) -> None:
    """Measure, and leave the outcome, a failure too, where the host finds it whenever it asks."""
    request = Request.model_validate_json(folder.joinpath("request.json").read_bytes())
    try:
        with _ending_after(request.timeout_s), _alone(folder.parent):
            outcome = _measure(folder, request)
    except EdgesmithError as error:
        outcome = Outcome(error=type(error).__name__, message=str(error))
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(error="EdgesmithError", message=f"{type(error).__name__}: {error}")
    files.write_text(folder / "result.json", outcome.model_dump_json())


def _measure(folder: Path, request: Request) -> Outcome:
    device = fingerprint.probe(request.device)
    if request.fingerprint not in (None, device.fingerprint_id):
        raise EdgesmithError(
            f"this is not the {request.device!r} on record, or it changed since "
            f"({request.fingerprint}; now {device.fingerprint_id}); probe it again"
        )
    frame = folder / "frame/image"
    bench = measure_pair(
        folder / "artifact",
        folder / ("artifact" if request.alone else "baseline"),
        request.settings,
        device=device.name,
        fingerprint=device.fingerprint_id,
        frame=frame.read_bytes() if frame.exists() else None,
    )
    return Outcome(bench=bench, device=device)


class _TimeIsUpError(EdgesmithError):
    """The job took as long as it may."""


@contextmanager
def _ending_after(seconds: float) -> Iterator[None]:
    """Raise in the block when the time is over: no job outlives the host that forgot it."""

    def ring(*_: object) -> None:
        raise _TimeIsUpError(f"the measurement took more than {seconds:.0f} s on the device")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Wait for other jobs on this device: two at once would measure each other."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check(file: Path) -> dict[str, str]:
    """What keeps this machine from running the contract's format: nothing, or why not."""
    contract = Contract.model_validate_json(file.read_bytes())
    try:
        session.engine(Path(contract.format), contract)
    except (EdgesmithError, ImportError) as error:
        cause = error if isinstance(error, ImportError) else error.__cause__
        missing = cause.name or "" if isinstance(cause, ModuleNotFoundError) else ""
        return {"message": str(error), "missing": missing}
    return {}


def main() -> None:
    """Do what the arguments say."""
    what, argument = sys.argv[1:]
    if what == "run":
        run(Path(argument))
        return
    # Libraries may print when they are imported.
    answer = (
        fingerprint.probe(argument).model_dump(mode="json")
        if what == "probe"
        else _check(Path(argument))
    )
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
