"""Preflight and hailortcli's results, on output as the tools print it; no vendor code ran."""

import json
from pathlib import Path

import pytest

from edgesmith.hef import hailortcli, preflight
from edgesmith.hef.errors import HailoError
from edgesmith.hef.read import read
from tests.hef import files

IDENTIFY = """\
Executing on device: 0000:01:00.0
Identifying board
Control Protocol Version: 2
Firmware Version: 4.23.0 (release,app,extended context switch buffer)
Logger Version: 0
Board Name: Hailo-8
Device Architecture: HAILO8L
Serial Number: HLDDLBB234500054
Part Number: HM21LB1C2LAE
Product Name: HAILO-8L AI ACC M.2 B+M KEY MODULE EXT TMP

"""
DRIVER = (
    "[HailoRT] [error] Driver version (4.20.0) is different from library version (4.23.0)\n"
    "[HailoRT] [error] CHECK_SUCCESS failed with status=HAILO_INVALID_DRIVER_VERSION(76)\n"
)
BENCHMARK = (
    "net_name,fps,hw_only_fps,num_of_frames,num_of_frames_hw_only,hw_latency,overall_latency,"
    "min_power,average_power,max_power\n"
    "mobilenet_v2_1.0,1736.02,1738.1,26050,26075,0.78,1.21,,,\n"
)
RUN = (
    "net_name,status,status_description,fps,num_of_frames,send_rate,recv_rate,hw_latency,"
    "overall_latency,min_power,average_power,max_power,min_current,average_current,max_current,"
    "min_temp,average_temp,max_temp\n"
)
RUN2 = {
    "time": "Mon Nov 23 12:00:00 2026",
    "inference_mode": "full_async",
    "network_groups": [
        {"name": "net", "full_hef_path": "net.hef", "FPS": "1523.250000", "hw_latency": 0.81}
    ],
}
LINK = preflight.Link("0000:01:00.0", "8.0 GT/s PCIe", "1", "8.0 GT/s PCIe", "2")


def _tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "hailortcli"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_identify_is_read() -> None:
    found = preflight.parse_identify(IDENTIFY)
    assert found == ("HAILO8L", "4.23.0", "Hailo-8", "HLDDLBB234500054", "HM21LB1C2LAE")


def test_an_empty_identify_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path, monkeypatch, "exit 0")
    with pytest.raises(HailoError, match=r"status 74: it printed nothing; no accelerator .*lspci"):
        preflight.identify()


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [
        (DRIVER, 1, "status 76.*driver and library are of different versions"),
        ("", 74, "status 74.*lspci"),
        ("failed with status=HAILO_HEF_FILE_CORRUPTED(91)", 91, "status 91.*edgesmith inspect"),
        ("status=HAILO_HEF_NOT_COMPATIBLE_WITH_DEVICE(93)", 93, "status 93.*another chip"),
        ("boom", 1, "exit code 1: boom; see its output"),
    ],
)
def test_a_status_comes_with_its_remedy(output: str, code: int, words: str) -> None:
    with pytest.raises(HailoError, match=words):
        raise preflight.explain("hailortcli run", code, output)


def test_a_failing_or_missing_tool_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HailoError, match="hailortcli is not installed"):
        preflight.library_version()
    _tool(
        tmp_path, monkeypatch, "echo 'CHECK failed: HAILO_INVALID_DRIVER_VERSION(76)' >&2; exit 76"
    )
    with pytest.raises(HailoError, match="status 76"):
        preflight.identify()
    _tool(tmp_path, monkeypatch, "echo 'HailoRT-CLI version 4.23.0'")
    assert preflight.library_version() == "4.23.0"
    _tool(tmp_path, monkeypatch, "exec sleep 5")
    with pytest.raises(HailoError, match="no answer within"):
        preflight.call(["scan"], timeout_s=0.2)


def test_what_fits_and_what_does_not_is_found(tmp_path: Path) -> None:
    identity = preflight.parse_identify(IDENTIFY)
    hef = read(files.write(tmp_path / "net.hef"))
    good = preflight.check(identity, "4.23.0", "4.23.0", [LINK], hef)
    assert all(finding.ok for finding in good)

    slow = LINK._replace(speed="5.0 GT/s PCIe")
    for8 = read(files.write(tmp_path / "n8.hef", 2, files.description(files.new_group(), arch=1)))
    bad = preflight.check(identity, "4.20.0", "5.2.0", [slow], for8)
    texts = {finding.what: finding.remedy for finding in bad if finding.ok is False}
    assert (
        "pciex1_gen=3"
        in texts["PCIe 0000:01:00.0: 5.0 GT/s PCIe ×1; the chip can 8.0 GT/s PCIe ×2"]
    )
    assert "never on Hailo-8L" in texts["n8.hef is for hailo8, the chip is HAILO8L"]
    assert "different versions" in texts["driver 4.20.0, library 5.2.0"]
    assert (
        "belongs to HailoRT 4.x" in texts["n8.hef is of Dataflow Compiler 3.33.0, HailoRT is 5.2.0"]
    )
    unknown = preflight.check(identity, None, "4.23.0", [])
    assert [finding.ok for finding in unknown] == [True, None, True, None]


def test_driver_and_link_come_from_sysfs(tmp_path: Path) -> None:
    device = tmp_path / "devices/0000:01:00.0"
    device.mkdir(parents=True)
    values = dict(zip(LINK._fields[1:], LINK[1:], strict=True))
    names = {"speed": "current_link_speed", "width": "current_link_width"}
    names |= {"max_speed": "max_link_speed", "max_width": "max_link_width"}
    for key, name in names.items():
        (device / name).write_text(values[key] + "\n")
    (device / "vendor").write_text("0x1e60\n")
    assert preflight.links(tmp_path / "devices") == [LINK]
    assert preflight.driver_version(tmp_path) is None
    (tmp_path / "hailo_pci").mkdir()
    (tmp_path / "hailo_pci/version").write_text("4.23.0\n")
    assert preflight.driver_version(tmp_path) == "4.23.0"


def test_results_of_the_tool_are_read() -> None:
    (row,) = hailortcli.parse_benchmark(BENCHMARK)
    assert (row.network, row.fps, row.hw_only_fps) == ("mobilenet_v2_1.0", 1736.02, 1738.1)
    assert (row.frames, row.hw_latency_ms, row.overall_latency_ms) == (26050, 0.78, 1.21)
    assert row.power_w is None
    (run,) = hailortcli.parse_run(RUN + "net,0,success,1736.1,26050,2.1e9,1e7,0.8,,1,1.5,2,,,,,,\n")
    assert (run.fps, run.power_w, run.overall_latency_ms) == (1736.1, 1.5, None)
    (run2,) = hailortcli.parse_run2(json.dumps(RUN2))
    assert (run2.network, run2.fps, run2.hw_latency_ms) == ("net", 1523.25, 0.81)


def test_results_that_are_none_are_refused() -> None:
    with pytest.raises(HailoError, match=r"status 74.*lspci"):
        hailortcli.parse_run(RUN + "net,74,HAILO_OUT_OF_PHYSICAL_DEVICES,,,,,,,,,,,\n")
    with pytest.raises(HailoError, match="its CSV is empty"):
        hailortcli.parse_benchmark("")
    with pytest.raises(HailoError, match="its CSV has no fps"):
        hailortcli.parse_benchmark(BENCHMARK.replace("1736.02", ""))
    with pytest.raises(HailoError, match="its JSON is not as known"):
        hailortcli.parse_run2('{"network_groups": [{"name": "net"}]}')


def test_each_release_is_asked_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        'echo "$@" > {0}/asked; for a; do last=$file; file=$a; [ "$last" = {1} ] && out=$a; done'
    )
    hef = tmp_path / "net.hef"
    for library, option, content in (
        ("4.23.0", "--csv", BENCHMARK),
        ("5.2.0", "-j", json.dumps(RUN2)),
    ):
        (tmp_path / "content").write_text(content + "\n")
        copy = f'\nwhile IFS= read -r line; do echo "$line"; done < {tmp_path}/content > $out'
        _tool(tmp_path, monkeypatch, script.format(tmp_path, option) + copy)
        assert hailortcli.measure(hef, library, 1)[0].fps > 1000
        command = "benchmark" if library.startswith("4") else "run2"
        assert (tmp_path / "asked").read_text().startswith(command)
