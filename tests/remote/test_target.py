from pathlib import Path

import pytest

from edgesmith.remote.errors import RemoteError
from edgesmith.remote.target import Target, of_device, parse


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ssh://pi@raspberrypi.local", Target("raspberrypi.local", "pi")),
        ("ssh://pi@10.0.0.7:2222", Target("10.0.0.7", "pi", 2222)),
        ("ssh://Alias", Target("Alias")),
        ("ssh://pi@[fe80::1%eth0]:22", Target("fe80::1%eth0", "pi", 22)),
        ("ssh://pi@h?python=~/a%20b/python", Target("h", "pi", 0, "~/a b/python")),
    ],
)
def test_target_is_read(text: str, target: Target) -> None:
    assert parse(text) == target


def test_target_is_written_as_it_is_read() -> None:
    for text in ("ssh://pi@raspberrypi.local", "ssh://pi@[::1]:2222", "ssh://Alias:22"):
        assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raspberrypi.local", "not a target"),
        ("http://pi@host", "not a target"),
        ("ssh://", "not a target"),
        ("ssh://pi@host:ninety", "Port"),
        ("ssh://pi@host:99999", "range"),
        ("ssh://pi@host/home/pi", "holds no path"),
        ("ssh://pi@host?port=22", "python=PATH"),
        ("ssh://-oProxyCommand=x", "cannot be part"),
        ("ssh://pi@-oProxyCommand=x", "cannot be part"),
        ("ssh://pi@host;reboot", "not a name"),
        ("ssh://$(reboot)@host", "not a name"),
        ("ssh://pi@host?python=-c", "cannot be part"),
    ],
)
def test_what_is_no_target_is_refused(text: str, why: str) -> None:
    with pytest.raises(RemoteError, match=why):
        parse(text)


def test_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(RemoteError, match="ssh-copy-id") as refused:
        parse("ssh://pi:raspberry@host")
    assert "raspberry" not in str(refused.value)


def test_target_of_a_device_is_in_an_untracked_file(tmp_path: Path) -> None:
    (tmp_path / "rpi5").mkdir()
    (tmp_path / "rpi5/target").write_text("ssh://pi@rpi5\n")
    assert of_device("rpi5", tmp_path) == Target("rpi5", "pi")


def test_environment_says_where_a_device_is_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orin-nano").mkdir()
    (tmp_path / "orin-nano/target").write_text("ssh://pi@other\n")
    monkeypatch.setenv("EDGESMITH_TARGET_ORIN_NANO", "local")
    assert of_device("orin-nano", tmp_path) is None


def test_device_that_nobody_said_where_it_is_names_file_and_variable(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=r"rpi5/target.*EDGESMITH_TARGET_RPI5"):
        of_device("rpi5", tmp_path)
