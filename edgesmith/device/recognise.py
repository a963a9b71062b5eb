"""Which devices of the catalogue a machine is, by its fingerprint."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgesmith.device.catalogue import reader
from edgesmith.device.catalogue.entry import Entry
from edgesmith.errors import EdgesmithError


class WrongDeviceError(EdgesmithError):
    """What answers is not the device that it was taken for."""


def mismatches(entry: Entry, fingerprint: Mapping[str, str]) -> list[str]:
    """What keeps a machine from being this device, one phrase per key; empty if it is."""
    found = []
    for key, pattern in entry.recognise.items():
        value = fingerprint.get(key)
        if value is None:
            found.append(f"its fingerprint has no {key}")
        elif not re.search(pattern, value):
            found.append(f"its {key} is {value!r}")
    return found


def names_of(fingerprint: Mapping[str, str]) -> list[str]:
    """The devices that a machine is; always `host`, and a Pi with a Hailo is a Pi too."""
    entries = reader.read_all().items()
    return [name for name, entry in entries if not mismatches(entry, fingerprint)]


def require(name: str, fingerprint: Mapping[str, str]) -> None:
    """WrongDeviceError when a machine is not the device `name`.

    A device that is not in the catalogue is whatever answers under its name.
    """
    if name not in reader.names():
        return
    entry = reader.read(name)
    if wrong := mismatches(entry, fingerprint):
        machine = fingerprint.get("board") or fingerprint.get("cpu", "unknown")
        raise WrongDeviceError(
            f"this machine ({machine}) is not {entry.title}: {'; '.join(wrong)}; name the device "
            f"in devices/{name}/target, such as ssh://user@host, or run `edgesmith devices --here` "
            "there to see what it is"
        )
