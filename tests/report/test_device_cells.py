from pathlib import Path

import pytest

from edgesmith.device.catalogue import reader
from edgesmith.device.catalogue.entry import Entry
from edgesmith.params import Params, load_params
from edgesmith.report.device_cells import cells_of
from edgesmith.runtimes import session
from tests.checkout import make_checkout


@pytest.fixture
def params(tmp_path: Path) -> Params:
    return load_params(make_checkout(tmp_path) / "params.yaml")


def _names(entry: Entry, params: Params, folder: Path, format_name: str) -> list[str]:
    cells, _ = cells_of(entry, params, folder / "artifacts")
    return [cell["variant"] for cell in cells.values() if cell["format"] == format_name]


def test_a_pi_runs_all_variants_in_onnx_and_those_listed_in_its_other_formats(
    params: Params, tmp_path: Path
) -> None:
    entry = reader.read("rpi5")
    assert _names(entry, params, tmp_path, "onnx") == list(params.variants)
    assert _names(entry, params, tmp_path, "ncnn") == ["base", "ptq", "pruned"]
    cells, left_out = cells_of(entry, params, tmp_path / "artifacts")
    assert not left_out and next(iter(cells)) == "base.ncnn"  # in the device's order
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
    cells, left_out = cells_of(reader.read("coral"), params, tmp_path / "artifacts")
    assert not cells and "edgetpu: this edgesmith has no runtime" in left_out[0]


def test_what_a_vendors_compiler_made_is_found_beside_its_baseline(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(session.ENGINES, "hef", ("hailort", "device-hailo"))
    entry = reader.read("rpi5-hailo8")
    (tmp_path / "artifacts/ptq/hef").mkdir(parents=True)
    assert _names(entry, params, tmp_path, "hef") == []
    (tmp_path / "artifacts/base/hef").mkdir(parents=True)
    assert _names(entry, params, tmp_path, "hef") == ["base", "ptq"]
