from pathlib import Path

import pytest

from edgesmith.device import accelerators, board, recognise
from edgesmith.device.catalogue import reader
from edgesmith.device.recognise import WrongDeviceError
from tests.device import boards
from tests.device.boards import lay_out


def _machine(root: Path, files: dict[str, str], identify: str = "") -> dict[str, str]:
    lay_out(root, files)
    return {**board.identify(root), **accelerators.identify(root, lambda _: identify)}


@pytest.mark.parametrize(
    ("files", "identify", "names"),
    [
        (boards.PI5, "", ["rpi5"]),
        (boards.HAILO, boards.IDENTIFY_8L, ["rpi5", "rpi5-hailo8l"]),
        (boards.HAILO, boards.IDENTIFY_8, ["rpi5", "rpi5-hailo8"]),
        (boards.HAILO, "", ["rpi5"]),
        (boards.ORIN_NANO, "", ["jetson-orin-nano"]),
        (boards.AGX_ORIN, "", ["jetson-agx-orin"]),
        (boards.NANO, "", ["jetson-nano"]),
        (boards.CORAL_USB, "", ["coral"]),
        (boards.CORAL_PCIE, "", ["coral"]),
        (boards.CORAL_USB | boards.PI5, "", ["coral", "rpi5"]),
        ({}, "", []),
    ],
)
def test_a_machine_is_what_its_kernel_and_tools_say(
    tmp_path: Path, files: dict[str, str], identify: str, names: list[str]
) -> None:
    assert recognise.names_of(_machine(tmp_path, files, identify)) == ["host", *names]


def test_a_pi_without_its_hailo_is_told_what_is_missing(tmp_path: Path) -> None:
    found = _machine(tmp_path, boards.PI5)
    recognise.require("rpi5", found)
    with pytest.raises(WrongDeviceError, match=r"fingerprint has no hailo\.arch"):
        recognise.require("rpi5-hailo8l", found)


def test_an_8l_is_not_an_8(tmp_path: Path) -> None:
    found = _machine(tmp_path, boards.HAILO, boards.IDENTIFY_8L)
    with pytest.raises(WrongDeviceError, match=r"its hailo\.arch is 'HAILO8L'"):
        recognise.require("rpi5-hailo8", found)


def test_a_device_of_ones_own_is_whatever_answers() -> None:
    assert "my-box" not in reader.names()
    recognise.require("my-box", {"cpu": "anything"})
