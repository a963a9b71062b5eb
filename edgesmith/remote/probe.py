"""What a device is, said by the code that says it here."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from edgesmith.device import fingerprint
from edgesmith.device.fingerprint import Device
from edgesmith.errors import ContractError
from edgesmith.remote import package, preflight
from edgesmith.remote.device import connect
from edgesmith.remote.measure import job_folder, send_package
from edgesmith.remote.options import Options
from edgesmith.remote.target import Target
from edgesmith.remote.transfer import Item


def probe(
    target: Target,
    name: str,
    python: str | None = None,
    options: Options = Options(),  # noqa: B008 (immutable)
) -> Device:
    """The device at `target`, under the name of its folder in `devices/`.

    `python` is the interpreter there, by default the target's: its libraries are part of what the
    device is. Raises RemoteError for a device that cannot answer, ConnectionLostError for one that
    cannot be reached.
    """
    if python is not None:
        target = target._replace(python=python)
    with tempfile.TemporaryDirectory() as work, connect(target, options) as remote:
        preflight.survey(remote)
        archive = Path(work) / "package.zip"
        archive.write_bytes(package.archive())
        with job_folder(remote, f"probe-{secrets.token_hex(4)}") as there:
            unpacked = send_package(remote, there, [Item.of(archive)])
            return Device.model_validate(remote.call(unpacked, "probe", name))


def require_same_machine(found: Device, path: Path) -> None:
    """ContractError when `found` is another machine than the one that `path` describes."""
    if not path.is_file():
        return
    known = fingerprint.read(path)
    for key in ("cpu", "arch", "cores"):
        before, now = known.fingerprint.get(key), found.fingerprint.get(key)
        if before != now:
            raise ContractError(
                f"{path}: {known.name!r} is a machine with {key} {before!r}, and what answers has "
                f"{now!r}: another device; mend the target, or remove the file if this one takes "
                "its place"
            )
