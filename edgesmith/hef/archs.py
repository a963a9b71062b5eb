"""Which HEF runs on which Hailo chip, and which compiler and library belong to a chip."""

from __future__ import annotations

from typing import Literal, NamedTuple

Arch = Literal["hailo8", "hailo8l", "hailo8r", "hailo10h", "hailo15h", "hailo15m", "hailo15l"]


class Target(NamedTuple):
    """What a HEF was compiled for, and the chips that take it (HailoRT 5.2, device_internal)."""

    name: str
    runs_on: tuple[str, ...]


# By ProtoHEFHwArch in a HEF's header; chips as `hailortcli fw-control identify` calls them.
BY_NUMBER = {
    0: Target("hailo8", ("HAILO8",)),
    1: Target("hailo8", ("HAILO8",)),
    2: Target("hailo8r", ("HAILO8",)),
    3: Target("hailo8l", ("HAILO8L", "HAILO8")),
    4: Target("hailo15m", ("HAILO15M", "HAILO15H", "HAILO10H")),
    5: Target("hailo10h", ("HAILO15H", "HAILO10H")),
    6: Target("hailo15l", ("HAILO15L",)),
    103: Target("hailo15h", ("HAILO15H", "HAILO10H")),
}

# Major version of the Dataflow Compiler and of HailoRT by architecture.
DFC_MAJOR = {
    "hailo8": 3,
    "hailo8r": 3,
    "hailo8l": 3,
    "hailo10h": 5,
    "hailo15h": 5,
    "hailo15m": 5,
    "hailo15l": 5,
}
HAILORT_MAJOR = {3: 4, 5: 5}


def target(number: int) -> Target:
    """What a header's number stands for; a number not known here runs on no known chip."""
    return BY_NUMBER.get(number, Target(f"unknown ({number})", ()))
