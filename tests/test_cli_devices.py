import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.device import fingerprint
from tests.checkout import add_cell, add_runtimes, make_checkout, make_device


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["devices", *(str(argument) for argument in arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two cells of this machine, one of another."""
    folder = make_checkout(tmp_path)
    add_cell(folder, "base", 900, latency_ms=10)
    add_cell(folder, "ptq", 900, latency_ms=4)
    add_cell(folder, "pruned", 900, latency_ms=1, machine="0123456789ab")
    add_runtimes(folder)
    return folder


def test_published_and_measured_figures_stand_in_columns_of_their_own(checkout: Path) -> None:
    header, *rows = [line for line in _run("--folder", checkout).splitlines() if line.strip()]
    published, measured = header.index("published by others"), header.index("measured: fastest")
    host = next(row for row in rows if row.startswith(" host"))
    assert not host[published:measured].strip()
    assert "ptq.onnx 4.00 ms" in host[measured:]
    pi = next(row for row in rows if row.startswith(" rpi5 "))
    assert "YOLOv8n ~5 FPS" in pi[published:measured] and not pi[measured:].strip()


def test_a_cell_of_another_machine_is_never_shown_as_this_ones(checkout: Path) -> None:
    overview = _run("--folder", checkout)
    assert "1.00 ms" not in overview and "2 + 1 another machine's" in overview
    assert make_device().fingerprint_id in overview
    lines = _run("host", "--folder", checkout).splitlines()
    assert next(line for line in lines if "pruned.onnx" in line).endswith(
        "(0123456789ab, another machine's)"
    )
    cells = json.loads(_run("host", "--folder", checkout, "--json"))["measured"]
    assert {cell["variant"]: cell["current"] for cell in cells} == {
        "pruned": False,
        "ptq": True,
        "base": True,
    }


def test_figures_without_a_record_of_their_machine_are_of_another(checkout: Path) -> None:
    (checkout / "devices/host/device.json").unlink()
    cells = json.loads(_run("host", "--folder", checkout, "--json"))["measured"]
    assert not [cell for cell in cells if cell["current"]]


def test_one_device_is_shown_in_full_with_sources() -> None:
    shown = _run("rpi5")
    for part in ("Cortex-A76", "80 °C", "scaling_governor", "143.5 FPS", "https://", "ncnn"):
        assert part in shown


def test_json_holds_every_device() -> None:
    found = json.loads(_run("--json"))
    assert found["coral"]["accelerator"] == {"name": "Edge TPU", "tops": 4.0}
    assert found["rpi5"]["measured"] == [] and found["rpi5"]["measured_by"] is None


def test_here_says_which_device_this_machine_is() -> None:
    assert _run("--here").startswith("host")
    found = json.loads(_run("--here", "--json"))
    assert "host" in found["devices"]
    assert found["fingerprint_id"] == fingerprint.fingerprint_id(fingerprint.fingerprint())


def test_cells_of_a_device_are_written_where_its_pipeline_reads_them(checkout: Path) -> None:
    said = _run("rpi5", "--cells", "--folder", checkout)
    file = checkout / "devices/rpi5/cells.yaml"
    assert str(file) in said and "dvc repro" in said
    assert yaml.safe_load(file.read_text())["cells"]["ptq.onnx"]["baseline"] == "base"


def test_a_device_that_is_not_in_the_catalogue_is_an_error() -> None:
    result = CliRunner().invoke(app, ["devices", "toaster"])
    assert result.exit_code == 1 and "not in the catalogue" in result.stderr


def test_a_narrow_terminal_gets_names_and_figures_without_the_hardware(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    monkeypatch.setenv("COLUMNS", "120")
    shown = _run("--folder", checkout)
    assert "Cortex-A76" not in shown and "YOLOv8n" in shown and "ptq.onnx" in shown
