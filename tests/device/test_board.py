from pathlib import Path

from edgesmith.device import board
from tests.device.boards import NANO, ORIN_NANO, PI5, lay_out


def test_a_pc_says_nothing_so_that_its_fingerprint_stays(tmp_path: Path) -> None:
    lay_out(tmp_path, {"proc/cpuinfo": "vendor_id\t: GenuineIntel\nmodel name\t: Xeon\n"})
    assert board.identify(tmp_path) == {}


def test_a_pi_has_a_board_and_one_kind_of_core(tmp_path: Path) -> None:
    assert board.identify(lay_out(tmp_path, PI5)) == {
        "board": "Raspberry Pi 5 Model B Rev 1.0",
        "cpu_id": "0x41/0xd0b",
    }


def test_a_jetson_says_its_release_and_power_mode(tmp_path: Path) -> None:
    found = board.identify(lay_out(tmp_path, ORIN_NANO))
    assert found["l4t"] == "36.4.7" and found["jetpack"] == "6.2.1+b38"
    assert found["nvpmodel"] == "2 MAXN_SUPER"


def test_power_mode_of_jetpack_4_and_one_without_a_name(tmp_path: Path) -> None:
    assert board.identify(lay_out(tmp_path, NANO))["nvpmodel"] == "0 MAXN"
    (tmp_path / "etc/nvpmodel.conf").unlink()
    assert board.identify(tmp_path)["nvpmodel"] == "0"


def test_a_removed_package_is_not_installed(tmp_path: Path) -> None:
    status = "Package: nvidia-jetpack\nStatus: deinstall ok config-files\nVersion: 6.2\n\n"
    lay_out(tmp_path, {"var/lib/dpkg/status": status})
    assert board.package(tmp_path, "nvidia-jetpack") == ""
