import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgesmith.errors import ParamsError
from edgesmith.params import load_params
from edgesmith.report import compare
from edgesmith.report.cells import Cell, read_cells, retraining
from edgesmith.report.plot import strategies_png
from edgesmith.report.runtimes import read_runtimes
from tests.checkout import add_cell, add_runtimes, make_checkout, make_device


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = make_checkout(tmp_path)
    add_cell(folder, "base", 900, size_bytes=8_000_000, macs=30_000_000, delta=0.0)
    add_cell(folder, "longer", 905, size_bytes=8_000_000, macs=30_000_000, delta=0.005)
    add_cell(folder, "narrow", 850, size_bytes=5_000_000, macs=20_000_000, speedup=1.4)
    add_cell(
        folder,
        "pruned",
        895,
        size_bytes=5_000_000,
        macs=20_000_000,
        latency_ms=7,
        speedup=1.43,
        delta=-0.005,
    )
    return folder


def _cells(folder: Path) -> list[Cell]:
    return read_cells(load_params(folder / "params.yaml"), folder / "metrics", make_device())


def _markdown(folder: Path) -> str:
    params = load_params(folder / "params.yaml")
    whole_way = read_runtimes(params.runtimes, folder / "metrics", make_device())
    return compare.markdown(_cells(folder), params, make_device(), whole_way)


def test_cells_come_in_the_order_of_params(checkout: Path) -> None:
    assert [cell.variant for cell in _cells(checkout)] == ["base", "longer", "narrow", "pruned"]


def test_strategies_hold_ratios_against_the_baseline(checkout: Path) -> None:
    row = compare.strategies(_cells(checkout))["pruned.onnx"]
    assert row == {
        "precision": "fp32",
        "size_bytes": 5_000_000,
        "size_x": 1.6,
        "params_x": 1.5,
        "macs_x": 1.5,
        "latency_ms_p50": 7.0,
        "speedup": 1.43,
        "accuracy": 0.895,
        "accuracy_change": -0.005,
        "retraining": True,
    }


def test_columns_are_named_after_the_metric_of_the_cells(checkout: Path) -> None:
    cells = _cells(checkout)
    accuracy = cells[0].accuracy.model_copy(update={"metric": "map50_95"})
    assert "top-1, %" in compare.headers(cells)
    detectors = [replace(cells[0], accuracy=accuracy)]
    assert "mAP50-95, %" in compare.headers(detectors)
    assert len(compare.headers(detectors)) == len(compare.table_rows(detectors)[0])


def test_variant_that_params_no_longer_define_is_passed_over(checkout: Path) -> None:
    add_cell(checkout, "gone", 990)
    assert "gone" not in _markdown(checkout)


def test_retraining_is_looked_for_in_the_whole_chain_after_the_baseline(checkout: Path) -> None:
    params = load_params(checkout / "params.yaml")
    trained = {name: retraining(params, name) for name in params.variants}
    assert trained == {
        "base": False,
        "longer": True,
        "narrow": True,
        "pruned": True,
        "ptq": False,
        "qat": True,
        "pruned-ptq": True,
        "distilled": True,
    }


def test_active_is_flat_and_of_the_named_cell(checkout: Path) -> None:
    params = load_params(checkout / "params.yaml")
    active = compare.active(_cells(checkout), params)
    assert active["variant"] == "pruned" and active["latency_ms_p50"] == 7
    assert not any(isinstance(value, dict | list) or value is None for value in active.values())


def test_active_cell_that_was_not_evaluated_is_an_error(checkout: Path) -> None:
    (checkout / "metrics/accuracy/pruned.onnx.json").unlink()
    params = load_params(checkout / "params.yaml")
    with pytest.raises(ParamsError, match=r"active is pruned\.onnx, which was not evaluated"):
        compare.active(_cells(checkout), params)


def test_table_shows_every_figure_with_its_interval(checkout: Path) -> None:
    row = next(line for line in _markdown(checkout).splitlines() if line.startswith("| pruned"))
    cells = [text.strip() for text in row.strip("|").split("|")]
    assert cells == [
        *("pruned", "onnx", "fp32", "89.5 [87.5, 91.2]", "-0.5 [-1.5, +0.5]", "5.00", "1.60"),
        *("1.50", "1.50", "7.00 / 7.70", "1.43 [1.40, 1.46]", "yes"),
    ]


def test_machine_and_method_stand_under_the_table(checkout: Path) -> None:
    text = _markdown(checkout)
    assert "Abacus 9000" in text and make_device().fingerprint_id in text
    assert "onnxruntime 1 (cpu), threads: 1" in text
    assert "(20 runs); then 2 rounds" in text and "100 timed runs" in text


def test_difference_of_unrelated_chains_is_marked_as_unpaired(checkout: Path) -> None:
    narrow = next(line for line in _markdown(checkout).splitlines() if line.startswith("| narrow"))
    assert "-5.0 [" in narrow and "†" in narrow
    assert "† not paired" in _markdown(checkout)


def test_figures_of_another_machine_are_not_shown(checkout: Path) -> None:
    add_cell(checkout, "pruned", 895, latency_ms=3.21, speedup=9.87, machine="ffffffffffff")
    text = _markdown(checkout)
    assert "other machine (ffffffffffff)" in text and "Measured on another machine" in text
    assert "3.21" not in text and "9.87" not in text
    row = compare.strategies(_cells(checkout))["pruned.onnx"]
    assert "speedup" not in row and "latency_ms_p50" not in row


def test_cell_without_benchmark_is_shown_without_latency(checkout: Path) -> None:
    (checkout / "metrics/bench/host/pruned.onnx.json").unlink()
    assert "Not measured: `pruned.onnx`" in _markdown(checkout)


def test_noisy_figures_are_marked(checkout: Path) -> None:
    add_cell(checkout, "base", 900, noisy=True)
    assert "~ noisy" in _markdown(checkout) and "10.00 / 11.00 ~" in _markdown(checkout)


def test_pruned_network_is_set_against_both_controls(checkout: Path) -> None:
    text = _markdown(checkout)
    assert "Against `longer.onnx` (same parent trained on, nothing removed" in text
    assert "Against `narrow.onnx` (a narrower network" in text
    assert "-1.0 [-3.6, +1.6] points; 1000 images cannot tell them apart" in text
    assert "`pruned` is not more accurate than `longer`" in text


def test_pruned_network_ahead_of_both_controls_is_said_to_be(checkout: Path) -> None:
    add_cell(checkout, "longer", 850, delta=-0.05)
    assert "`pruned` is more accurate than each of them" in _markdown(checkout)


def test_lead_within_the_uncertainty_is_said_to_be(checkout: Path) -> None:
    add_cell(checkout, "longer", 890, delta=-0.01)
    assert "ahead of each, but against `longer` within the uncertainty" in _markdown(checkout)


def test_pruned_network_without_controls_claims_nothing(checkout: Path) -> None:
    for name in ("longer", "narrow"):
        (checkout / f"metrics/accuracy/{name}.onnx.json").unlink()
    assert "No control of it was built" in _markdown(checkout)


def test_distilled_student_is_set_against_teacher_and_student_alone(checkout: Path) -> None:
    add_cell(checkout, "distilled", 930, delta=0.03)
    text = _markdown(checkout)
    assert "Against `base.onnx` (same parent trained without a teacher" in text
    assert "Against `longer.onnx` (its teacher" in text


def test_unstructured_sparsity_is_said_not_to_be_faster(checkout: Path) -> None:
    params = checkout / "params.yaml"
    params.write_text(params.read_text().replace("ratio: 0.3", "ratio: 0.3, sparsity: '2:4'"))
    assert "Its zeros are stored and multiplied" in _markdown(checkout)


def test_the_whole_way_is_shown_with_its_interval(checkout: Path) -> None:
    assert "Runtimes" not in _markdown(checkout)
    add_runtimes(checkout)
    text = _markdown(checkout)
    assert "## Runtimes, one run" in text
    assert "PyTorch eager FP32 → ONNX Runtime INT8: **5.0×** [4.8, 5.2] (`base` 20.00 ms" in text
    add_runtimes(checkout, noisy=True)
    assert "[4.8, 5.2] ~" in _markdown(checkout)


def test_torchscript_is_said_to_be_timed_in_the_table_of_runtimes(checkout: Path) -> None:
    folder = checkout / "metrics/accuracy"
    content = json.loads((folder / "base.onnx.json").read_text())
    (folder / "base.torchscript.json").write_text(json.dumps(content | {"format": "torchscript"}))
    text = _markdown(checkout)
    assert "- Timed only in the table of runtimes, if their chain is in it: `base.torch" in text
    assert "Not measured" not in text


def test_every_runtime_has_a_row_and_what_was_not_built_its_reason(checkout: Path) -> None:
    add_runtimes(checkout)
    lines = _markdown(checkout).splitlines()
    assert "### net: `base` and `ptq`" in lines
    assert "| PyTorch 2 | fp32 | eager | 20.00 / 22.00 / 24.00 | 1.00 | 500 | 100 |" in lines
    assert (
        "| ONNX Runtime 1 | int8 | — | 4.00 / 4.40 / 4.80 | 5.00 [4.80, 5.20] | 500 | 100 |"
        in lines
    )
    assert "- Not built: torch-aotinductor-fp32: no C++ compiler." in lines


def test_the_whole_way_on_another_machine_is_not_shown(checkout: Path) -> None:
    add_runtimes(checkout, machine="ffffffffffff")
    text = _markdown(checkout)
    assert "measured on another machine (ffffffffffff)" in text and "5.0×" not in text


def test_no_metrics_is_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="run `dvc repro` first"):
        _cells(make_checkout(tmp_path))


def test_plot_is_a_png_and_the_same_each_time(checkout: Path) -> None:
    first = strategies_png(_cells(checkout))
    assert first.startswith(b"\x89PNG")
    assert strategies_png(_cells(checkout)) == first


def test_plot_without_measurements_says_so(checkout: Path) -> None:
    for path in (checkout / "metrics/bench/host").iterdir():
        path.unlink()
    assert strategies_png(_cells(checkout)).startswith(b"\x89PNG")


def test_strategies_are_plain_json(checkout: Path) -> None:
    json.dumps(compare.strategies(_cells(checkout)), allow_nan=False)
