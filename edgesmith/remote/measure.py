"""`bench.measure.measure_pair` on a device: shipped, started, awaited, and nothing left there."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from edgesmith import contract as contracts
from edgesmith import errors
from edgesmith.bench.measure import Settings
from edgesmith.bench.record import Bench
from edgesmith.contract import Contract
from edgesmith.device.fingerprint import Device
from edgesmith.errors import EdgesmithError
from edgesmith.remote import package, preflight, transfer
from edgesmith.remote.device import Remote, connect
from edgesmith.remote.errors import ConnectionLostError, RemoteError
from edgesmith.remote.options import Options
from edgesmith.remote.progress import Meter
from edgesmith.remote.request import Outcome, Request
from edgesmith.remote.target import Target
from edgesmith.remote.transfer import Item

# What changes how long a run takes goes to the device from the host's environment.
_ENVIRONMENT = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_WAIT_SECONDS = 60
_CLEANING_SECONDS = 15.0


class Measured(NamedTuple):
    """A measurement and the device that made it."""

    bench: Bench
    device: Device


class _Parcel(NamedTuple):
    """All that a job reads: places of files by folder and name, what they hold, and the request."""

    package: Item
    contracts: list[tuple[Contract, Item]]
    items: list[Item]
    places: dict[str, dict[str, str]]
    request: Request

    @property
    def name(self) -> str:
        """The same for the same command: content of all files, settings, and edgesmith itself."""
        said = [self.package.sha256, self.places, self.request.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def measure_pair(
    target: Target,
    artifact: Path,
    baseline: Path,
    settings: Settings,
    *,
    device_name: str,
    fingerprint_id: str | None = None,
    frame: bytes | None = None,
    options: Options = Options(),  # noqa: B008 (immutable)
) -> Bench:
    """As `measure`, the figures alone."""
    return measure(
        target,
        artifact,
        baseline,
        settings,
        device_name=device_name,
        fingerprint_id=fingerprint_id,
        frame=frame,
        options=options,
    ).bench


def measure(
    target: Target,
    artifact: Path,
    baseline: Path,
    settings: Settings,
    *,
    device_name: str,
    fingerprint_id: str | None = None,
    frame: bytes | None = None,
    options: Options = Options(),  # noqa: B008 (immutable)
) -> Measured:
    """What `bench.measure.measure_pair` gives on the device at `target`, with its fingerprint.

    The job runs there on its own: a lost connection does not end it, and the same command takes
    over what an earlier one started and lost. With `fingerprint_id`, a device of another
    fingerprint is refused before anything is measured. Raises what `measure_pair` raises,
    RemoteError for what keeps the device from measuring, and ConnectionLostError when it cannot be
    reached.
    """
    with tempfile.TemporaryDirectory() as work, connect(target, options) as remote:
        request = Request(
            device=device_name,
            fingerprint=fingerprint_id,
            settings=settings,
            alone=artifact.resolve() == baseline.resolve(),
            timeout_s=options.timeout_s,
        )
        parcel = _pack(Path(work), artifact, baseline, frame, request)
        outcome = _run(remote, parcel)
    if outcome.bench is None or outcome.device is None:
        kind = getattr(errors, outcome.error, EdgesmithError)
        raise kind(f"{target}: {outcome.message}")
    return Measured(outcome.bench, outcome.device)


def _pack(
    work: Path, artifact: Path, baseline: Path, frame: bytes | None, request: Request
) -> _Parcel:
    """Verify the artifacts and list what is to be shipped."""
    archive, image = work / "package.zip", work / "image"
    archive.write_bytes(package.archive())
    folders = {"artifact": artifact}
    if not request.alone:
        folders["baseline"] = baseline
    items: list[Item] = []
    described: list[tuple[Contract, Item]] = []
    places: dict[str, dict[str, str]] = {}
    for place, folder in folders.items():
        contract = contracts.verify(folder)
        written = Item.of(folder / contracts.FILE)
        described.append((contract, written))
        places[place] = {contracts.FILE: written.sha256}
        for name, entry in contract.files.items():
            items.append(Item(folder / name, entry.sha256, entry.size_bytes))
            places[place][name] = entry.sha256
    if frame is not None:
        image.write_bytes(frame)
        items.append(Item.of(image))
        places["frame"] = {"image": items[-1].sha256}
    return _Parcel(Item.of(archive), described, items, places, request)


def _run(remote: Remote, parcel: _Parcel) -> Outcome:
    """Survey, ship, start, await; the job's folder is gone when this returns or raises."""
    found = preflight.survey(remote)
    for contract, _ in parcel.contracts:
        preflight.require_machine(remote, contract, found["machine"])
    with job_folder(remote, parcel.name) as there:
        if there["state"] == "new":
            _ship(remote, there, parcel)
        else:
            remote.options.say(
                f"{remote.target}: this job is {there['state']} there already, from a run that "
                "lost it; taking it over"
            )
        return _await(remote, there["folder"])


@contextmanager
def job_folder(remote: Remote, name: str) -> Iterator[dict[str, Any]]:
    """A folder of its own on the device, as `onboard.prepare` describes it; removed in any case."""
    options = remote.options
    try:
        there = remote.ask("prepare", root=options.folder, name=name, adopt_seconds=options.adopt_s)
    except RemoteError as fault:
        if isinstance(fault, ConnectionLostError):
            raise
        raise RemoteError(
            f"{fault}: the work folder cannot be made there; name one that {remote.target.login} "
            "may write with --remote-folder"
        ) from fault
    try:
        yield there
    finally:
        _clean(remote, there["folder"])


def send_package(remote: Remote, there: dict[str, Any], items: list[Item]) -> str:
    """Send small files, the package first of them, and unpack it; its folder there."""
    folder = there["folder"]
    preflight.require_space(remote, transfer.missing_bytes(items, there["have"]), there["free"])
    transfer.send(remote, folder, items, lambda item, position: None)
    answer = remote.ask("unpack", folder=folder, sha256=items[0].sha256)
    return str(answer["package"])


def _ship(remote: Remote, there: dict[str, Any], parcel: _Parcel) -> None:
    """Send everything, after the device said that it has the engines and the space; start."""
    folder = there["folder"]
    needed = transfer.missing_bytes(parcel.items, there["have"])
    preflight.require_space(remote, needed, there["free"])
    small = [parcel.package, *(item for _, item in parcel.contracts)]
    unpacked = send_package(remote, there, small)
    for contract, item in parcel.contracts:
        file = f"{folder}/objects/{item.sha256}"
        preflight.require_engine(remote, unpacked, contract, file)
    meter = Meter(needed, remote.target.login)
    transfer.send(remote, folder, parcel.items, meter)
    meter.finish()
    remote.ask(
        "start",
        folder=folder,
        files=parcel.places,
        request=parcel.request.model_dump_json(),
        environment={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ},
    )


def _await(remote: Remote, folder: str) -> Outcome:
    """The outcome, however often the connection breaks before it is there."""
    while True:
        left = remote.deadline - time.monotonic()
        if left <= 0:
            raise RemoteError(
                f"{remote.target}: no result within --remote-timeout "
                f"{remote.options.timeout_s:.0f} s; the job was ended"
            )
        seconds = max(1, min(_WAIT_SECONDS, int(left)))
        answer = remote.ask("wait", folder=folder, seconds=seconds, timeout_s=seconds + 30)
        if answer["state"] == "finished":
            return Outcome.model_validate_json(answer["result"])
        if answer["state"] != "running":
            log = answer.get("log", "").strip() or "no message"
            raise RemoteError(
                f"{remote.target}: the job ended without a result (the device ran out of memory, "
                f"or was restarted?); its last words: {log}"
            )


def _clean(remote: Remote, folder: str) -> None:
    """End the job if it still runs, and remove its folder; within seconds, and never instead of
    the result or error that is on its way.
    """
    remote.deadline = min(remote.deadline, time.monotonic()) + _CLEANING_SECONDS
    try:
        left = remote.ask("remove", folder=folder, timeout_s=_CLEANING_SECONDS)["left"]
    except RemoteError as fault:
        remote.options.say(f"warning: {fault}")
        left = True
    if left:
        remote.options.say(
            f"warning: {folder} is left on {remote.target}; a run there after a day removes it"
        )
