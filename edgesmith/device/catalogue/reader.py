"""The catalogue's files, which come with the package."""

from __future__ import annotations

import tomllib
from importlib import resources

from pydantic import ValidationError

from edgesmith.device.catalogue.entry import Entry
from edgesmith.errors import ContractError

_PACKAGE = "edgesmith.device.catalogue"


def names() -> list[str]:
    """Devices that have an entry; the host first, the others in alphabetical order."""
    found = (file.name for file in resources.files(_PACKAGE).iterdir())
    known = sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))
    return ["host", *(name for name in known if name != "host")]


def read(name: str) -> Entry:
    """The entry of a device; ContractError when there is none, or its file is damaged."""
    if name not in (known := names()):
        raise ContractError(
            f"{name!r} is not in the catalogue, which has {', '.join(known)}; a new device is a "
            "new file in edgesmith/device/catalogue"
        )
    file = resources.files(_PACKAGE) / f"{name}.toml"
    try:
        entry = Entry.model_validate(tomllib.loads(file.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as fault:
        raise ContractError(f"{name}.toml: {fault}; install edgesmith again") from fault
    if entry.name != name:
        raise ContractError(f"{name}.toml: its name is {entry.name!r}; write {name!r}")
    return entry


def read_all() -> dict[str, Entry]:
    """All entries by name."""
    return {name: read(name) for name in names()}
