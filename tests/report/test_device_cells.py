from pathlib import Path

import pytest

from edgesmith.device.catalogue import reader
from edgesmith.device.catalogue.entry import Entry
from edgesmith.params import Params, load_params
from edgesmith.report.device_cells import cells_of
from edgesmith.runtimes import session
from tests.checkout import make_checkout
from tests.imports import ROOT


@pytest.fixture
def params(tmp_path: Path) -> Params:
    return load_params(make_checkout(tmp_path) / "params.yaml")


def _names(entry: Entry, params: Params, folder: Path, format_name: str) -> list[str]:
    found = cells_of(entry, params, folder)
    cells = [*found.cells.values(), *found.accelerated.values()]
    return [cell["variant"] for cell in cells if cell["format"] == format_name]


def test_a_pi_runs_all_variants_in_onnx_and_those_listed_in_its_other_formats(
    params: Params, tmp_path: Path
) -> None:
    entry = reader.read("rpi5")
    assert _names(entry, params, tmp_path, "onnx") == list(params.variants)
    assert _names(entry, params, tmp_path, "ncnn") == ["base", "ptq", "pruned"]
    cells, accelerated, left_out = cells_of(entry, params, tmp_path)
    assert (
        not accelerated and not left_out and next(iter(cells)) == "base.ncnn"
    )  # in the device's order
    assert cells["ptq.tflite"] == {
        "variant": "ptq",
        "format": "tflite",
        "baseline": "base",
        "runtime": "litert",
    }


def test_a_format_without_a_runtime_is_left_out_with_the_reason(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(session.ENGINES, "edgetpu", raising=False)
    _, cells, left_out = cells_of(reader.read("coral"), params, tmp_path)
    assert not cells and "edgetpu: this edgesmith has no runtime" in left_out[0]


def test_a_jetson_runs_an_engine_of_every_variant(params: Params, tmp_path: Path) -> None:
    found = cells_of(reader.read("jetson-orin-nano"), params, tmp_path)
    assert list(found.accelerated) == [f"{name}.engine" for name in params.variants]
    assert found.accelerated["pruned-ptq.engine"]["baseline"] == "base"
    assert found.accelerated["ptq.engine"]["runtime"] == "tensorrt"
    assert "base.onnx" in found.cells


@pytest.mark.parametrize(
    ("device", "tool", "format_name"),
    [("rpi5-hailo8l", "hailo", "hef"), ("coral", "edgetpu", "edgetpu")],
)
def test_what_a_toolchain_lists_is_measured_on_its_device(
    params: Params, tmp_path: Path, device: str, tool: str, format_name: str
) -> None:
    assert "lists no variant" in cells_of(reader.read(device), params, tmp_path).left_out[0]
    values = tmp_path / f"toolchains/{tool}/params.yaml"
    values.parent.mkdir(parents=True)
    values.write_text(f"{tool}: {{ptq: {{}}, of-another-params: {{}}}}\n")
    cell = cells_of(reader.read(device), params, tmp_path).accelerated[f"ptq.{format_name}"]
    assert cell["baseline"] == "ptq"  # alone: nothing was compiled of its baseline
    values.write_text(f"{tool}: {{ptq: {{}}, base: {{}}}}\n")
    cells = cells_of(reader.read(device), params, tmp_path).accelerated
    assert cells[f"ptq.{format_name}"]["baseline"] == "base"


def test_toolchains_of_this_repository_list_variants_that_it_has() -> None:
    params = load_params(ROOT / "params.yaml")
    for device in ("rpi5-hailo8", "coral"):
        assert cells_of(reader.read(device), params, ROOT).accelerated
