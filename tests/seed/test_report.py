from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesmith.bench.record import ModelLatency
from edgesmith.cli import app
from edgesmith.errors import DataError
from edgesmith.intervals import Bounds
from edgesmith.seed import report
from edgesmith.seed.measure import Cell, Ratio, Seed
from edgesmith.seed.published import CLAIMS, ROWS, published_ratio

BOUNDS = Bounds(low=1.9, high=2.1)
CELL = Cell(
    variant="base",
    engine="abacus 1",
    latency_ms=ModelLatency(p50=2, p90=2, p99=2, mean=2),
    latency_ms_ci95=BOUNDS,
    fps=500,
    runs=9,
    steady=True,
    noisy=False,
)
SEED = Seed(
    machine="Abacus",
    fingerprint="0123456789ab",
    network="a network",
    threads=1,
    rounds=3,
    cells={row.key: CELL for row in ROWS[:2]},
    ratios={"PyTorch FP32, JIT over none": Ratio(value=2.0, ci95=BOUNDS)},
    not_measured={"hailo-cli": "no device: get one"},
)


def test_published_ratios_are_those_of_the_report() -> None:
    found = {claim.text: published_ratio(claim) for claim in CLAIMS}
    assert found["NPU over PyTorch FP32"] == pytest.approx(142, rel=0.01)
    assert found["NPU over ONNX Runtime INT8"] == pytest.approx(12.1, rel=0.01)
    assert found["LiteRT, INT8 over FP32"] is None


def test_what_was_not_measured_has_no_figure_but_the_published_one() -> None:
    text = "\n".join(report.markdown(SEED, {}))
    assert "| PyTorch | FP32 | off | 500.0 | 2.000 [1.900, 2.100] | abacus 1 | 12.2 |" in text
    assert "| Hailo NPU, hailortcli run | INT8 | – | not measured here | — | — | 1736 |" in text
    assert "| PyTorch FP32, JIT over none | 2.00 [1.90, 2.10] | 0.9 |" in text
    assert "no device: get one" in text
    assert report.png(SEED).startswith(b"\x89PNG")


def test_a_page_is_rewritten_between_its_marks_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- seed -->\nold\n<!-- /seed -->\nafter\n")
    report.place(page, ["new"])
    assert page.read_text() == "before\n<!-- seed -->\nnew\n<!-- /seed -->\nafter\n"
    page.write_text("no marks")
    with pytest.raises(DataError, match="add both lines"):
        report.place(page, ["new"])


def test_an_unknown_suite_is_refused_and_known_ones_have_help() -> None:
    result = CliRunner().invoke(app, ["bench", "--suite", "x"])
    assert result.exit_code == 1 and "known: seed" in result.stderr
    assert (
        "--variant-int8" in CliRunner().invoke(app, ["bench", "--suite", "seed", "--help"]).stdout
    )
