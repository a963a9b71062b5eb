from pathlib import Path

import pytest

from edgesmith import files
from edgesmith.params import load_params
from edgesmith.report import cost, formats
from edgesmith.report.cells import Cell, read_cells
from tests.checkout import add_cell, make_checkout, make_device


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = make_checkout(tmp_path)
    add_cell(folder, "base", 900, size_bytes=8_000_000, self_right=900)
    add_cell(folder, "pruned", 895, size_bytes=4_000_000, self_right=898)
    return folder


def _cells(folder: Path) -> list[Cell]:
    return read_cells(load_params(folder / "params.yaml"), folder / "metrics", make_device())


def _cost(folder: Path, variant: str, format_name: str, **changes: object) -> None:
    record = {
        "fingerprint": make_device().fingerprint_id,
        "variant": variant,
        "format": format_name,
        "seconds": 12.3,
        "peak_rss_mb": 456.7,
    }
    files.write_json(folder / f"metrics/export/{variant}.{format_name}.json", record | changes)


def _row(lines: list[str], name: str) -> list[str]:
    (line,) = (line for line in lines if line.startswith(f"| {name} "))
    return [text.strip() for text in line.strip("|").split("|")]


def test_variants_in_one_format_are_not_compared_across_formats(checkout: Path) -> None:
    assert formats.across(_cells(checkout)) == []


def test_spread_spans_all_formats_and_the_graph_that_they_came_from(checkout: Path) -> None:
    add_cell(checkout, "base", 899, format_name="tflite", size_bytes=6_000_000, self_right=900)
    add_cell(checkout, "pruned", 893, format_name="tflite", size_bytes=2_000_000, self_right=898)
    add_cell(checkout, "pruned", 894, format_name="ncnn", self_right=898)
    lines = formats.across(_cells(checkout))

    assert _row(lines, "variant")[2:7] == ["torch graph", "onnx", "ncnn", "tflite", "spread"]
    assert _row(lines, "pruned")[2:7] == ["89.80", "89.50", "89.40", "89.30", "0.50"]
    # The baseline has no NCNN artifact, so the pruned one's size there has nothing to refer to.
    assert _row(lines, "pruned")[8] == "2.00 / — / 3.00"
    assert _row(lines, "base")[4] == "—"


def test_a_format_that_is_no_longer_asked_for_is_left_out(checkout: Path) -> None:
    add_cell(checkout, "longer", 897, format_name="tflite")

    assert {cell.name for cell in _cells(checkout)} == {"base.onnx", "pruned.onnx"}


def test_what_exports_took_is_shown_of_this_machine_alone(checkout: Path) -> None:
    _cost(checkout, "base", "onnx")
    _cost(checkout, "pruned", "onnx", fingerprint="ffffffffffff")
    lines = formats.exports(
        formats.read_costs(_cells(checkout), checkout / "metrics"), make_device()
    )

    assert _row(lines, "base") == ["base", "12 s, 457 MB"]
    assert not [line for line in lines if "pruned" in line]


def test_no_recorded_export_leaves_the_section_out(checkout: Path) -> None:
    assert (
        formats.exports(formats.read_costs(_cells(checkout), checkout / "metrics"), make_device())
        == []
    )


def test_what_this_process_took_is_written_with_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cost.write("base", "onnx", 1.5)
    first = cost.read(Path("metrics/export/base.onnx.json"))
    ballast = bytearray(b"x" * 50_000_000)
    cost.write("base", "onnx", 2.504)
    second = cost.read(Path("metrics/export/base.onnx.json"))

    assert (first.seconds, second.seconds) == (1.5, 2.5)
    assert second.peak_rss_mb >= first.peak_rss_mb
    assert second.peak_rss_mb >= len(ballast) / 1e6
    assert len(first.fingerprint) == 12
