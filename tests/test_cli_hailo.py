"""`edgesmith hailo` with a hailortcli that prints what real ones print; no vendor code ran."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.hef import preflight, process
from tests.hef import files, vendor
from tests.hef.test_preflight import BENCHMARK, IDENTIFY, LINK, RUN, RUN2
from tests.runtimes.test_hailort import LOGITS, OUTPUTS, hef_of

_ROW = "net,0,success,1736.1,26050,2.1e9,1e7,0.8,,1,1.5,2,,,,,,\n"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hailortcli of 4.23.0 with a chip, a driver and a link that fit; a folder to change it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    answers = {"version": "HailoRT-CLI version 4.23.0\n", "identify": IDENTIFY}
    answers |= {"benchmark": BENCHMARK, "run": RUN + _ROW, "run2": json.dumps(RUN2) + "\n"}
    for name, text in answers.items():
        (folder / name).write_text(text)
    cat = 'while IFS= read -r line; do echo "$line"; done'
    (folder / "hailortcli").write_text(
        f"""#!/bin/sh
case "$1" in
--version) {cat} < {folder}/version;;
fw-control) {cat} < {folder}/identify;;
*) name=$1; last=
   for word; do case "$last" in --csv|-j) out=$word;; esac; last=$word; done
   {cat} < {folder}/$name > "$out";;
esac
"""
    )
    (folder / "hailortcli").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(preflight, "driver_version", lambda: "4.23.0")
    monkeypatch.setattr(preflight, "links", lambda: [LINK])
    return folder


def _run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["hailo", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


def test_machine_whose_parts_fit_passes(tool: Path, tmp_path: Path) -> None:
    hef = files.write(tmp_path / "net.hef")
    lines = _run("check", hef).splitlines()
    assert len(lines) == 6 and all(line.startswith("ok") for line in lines)
    assert json.loads(_run("check", "--json"))["ok"] is True


def test_hef_of_another_chip_is_a_fault_with_its_remedy(tool: Path, tmp_path: Path) -> None:
    of_8 = files.description(files.new_group(), arch=1)
    hef = files.write(tmp_path / "n8.hef", 2, of_8)
    found = json.loads(_run("check", hef, "--json", status=1))
    (fault,) = [finding for finding in found["findings"] if finding["ok"] is False]
    assert "n8.hef is for hailo8, the chip is HAILO8L" in fault["what"]
    assert "never on Hailo-8L" in fault["remedy"]


def test_empty_identify_is_no_chip(tool: Path) -> None:
    (tool / "identify").write_text("")
    output = _run("check", status=1)
    assert "fault" in output and "status 74: it printed nothing" in output and "lspci" in output
    assert "ok       driver: 4.23.0" in output  # what is known all the same


def test_machine_without_hailort_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    output = _run("check", files.write(tmp_path / "any.hef"), status=1)
    assert "hailo-all" in output and "any.hef is for hailo8l; runs on HAILO8L, HAILO8" in output
    assert "hailortcli is not installed" in _run(
        "measure", files.write(tmp_path / "net.hef"), status=1
    )


@pytest.mark.parametrize(
    ("version", "by", "fps"),
    [
        ("4.23.0", [], 1736.02),
        ("4.23.0", ["--by", "run"], 1736.1),
        ("4.23.0", ["--by", "run2"], 1523.25),
        ("5.2.0", [], 1523.25),
    ],
)
def test_each_command_of_the_tool_is_read(
    tool: Path, tmp_path: Path, version: str, by: list[str], fps: float
) -> None:
    (tool / "version").write_text(f"HailoRT-CLI version {version}\n")
    hef = files.write(tmp_path / "net.hef")
    (row,) = json.loads(_run("measure", hef, "--json", *by))
    assert row["fps"] == fps and row["by"] == f"hailortcli {version}"
    assert str(fps) in _run("measure", hef, *by)


def test_benchmark_of_version_5_is_refused(tool: Path, tmp_path: Path) -> None:
    (tool / "version").write_text("HailoRT-CLI version 5.2.0\n")
    hef = files.write(tmp_path / "net.hef")
    assert "use run2" in _run("measure", hef, "--by", "benchmark", status=1)


def test_damaged_hef_is_named_before_anything_is_measured(tool: Path, tmp_path: Path) -> None:
    hef = files.write(tmp_path / "net.hef")
    hef.write_bytes(hef.read_bytes()[:-1])
    assert "truncated" in _run("measure", hef, status=1)


def test_python_api_gives_percentiles_and_throughput(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = vendor.make(tmp_path, OUTPUTS[:1], (8, 12, 3))
    monkeypatch.setenv(process.PYTHON, str(made.python))
    hef = hef_of(tmp_path / "one.hef", LOGITS)
    (row,) = json.loads(_run("measure", hef, "--by", "api", "--seconds", 1, "--json"))
    assert row["hailort"] == "4.23.0" and row["runs"] >= 20 and row["fps"] > 0
    assert 0 < row["latency_ms_p50"] <= row["latency_ms_p90"] <= row["latency_ms_p99"]


@pytest.mark.parametrize("command", ["check", "measure"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: edgesmith hailo {command}" in " ".join(_run(command, "--help").split())
