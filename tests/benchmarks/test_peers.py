import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import compare, environments, plan, table
from benchmarks.peers.compare import Candidate, Folders
from benchmarks.peers.plan import Group, Peer
from benchmarks.peers.record import GroupResult, NotMeasured, Results, Row
from edgesmith.bench.measure import Settings, Turns
from edgesmith.errors import ContractError
from edgesmith.params import load_params
from tests.artifacts import LABELS, make_artifact
from tests.imports import ROOT

IMAGES = 100
TRUTH = np.arange(IMAGES) % len(LABELS)


def candidate(folder: Path, name: str, kind: str, wrong: int) -> Candidate:
    """A network that errs on the first `wrong` images."""
    logits = 10 * np.eye(len(LABELS), dtype=np.float32)[TRUTH]
    logits[:wrong] = np.roll(logits[:wrong], 1, axis=1)
    return Candidate(
        name=name,
        kind=kind,
        tool="tool" if kind == "peer" else "edgesmith",
        setting="as it comes",
        default=False,
        folder=make_artifact(folder / name, variant=name),
        logits=logits,
        engine="onnxruntime 1",
        versions={"tool": "1.0"},
        seconds=7.0 if kind == "peer" else None,
    )


def turns(*milliseconds: float) -> Turns:
    """Three rounds that drift by half: every network of a round is slowed alike."""
    drift = (1.0, 1.5, 1.2)
    return Turns(
        loaded=[],
        warm=[{"runs": 9, "steady": True} for _ in milliseconds],
        samples_ms=[[[value * slow] * 4 for slow in drift] for value in milliseconds],
        rss_mb=[],
        end_to_end_ms=[],
    )


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    candidates = [
        candidate(tmp_path, "ours-ptq", "ours", wrong=4),
        candidate(tmp_path, "theirs", "peer", wrong=6),
        candidate(tmp_path, "base", "fp32", wrong=3),
    ]
    return list(compare.rows(candidates, TRUTH, turns(2.0, 3.0, 1.0)))


def results(rows: list[Row], absent: list[NotMeasured]) -> Results:
    return Results(
        fingerprint={"cpu": "Abacus 9000", "isa": "beads"},
        fingerprint_id="0123456789ab",
        threads=1,
        rounds=3,
        min_runs=4,
        min_seconds=0.01,
        max_warmup_seconds=0.1,
        test_images=IMAGES,
        calibration_images=8,
        groups=[
            GroupResult(
                baseline="base",
                format="onnx",
                ours="ours-ptq",
                engine="onnxruntime 1",
                rows=rows,
                not_measured=absent,
            )
        ],
    )


def test_a_peer_is_compared_with_ours_image_by_image_and_round_by_round(rows: list[Row]) -> None:
    ours, theirs, float_network = rows
    assert ours.vs_ours is None and float_network.vs_fp32 is None
    assert ours.vs_fp32 is not None and ours.vs_fp32.value == pytest.approx(-0.01)
    assert theirs.vs_ours is not None and theirs.vs_ours.value == pytest.approx(-0.02)
    assert theirs.vs_ours.ci95.low < -0.02 < theirs.vs_ours.ci95.high
    # The same slowing in each round leaves ratios exact, however the rounds differ.
    assert [row.latency.vs_ours for row in rows if row.latency] == [1.0, 1.5, 0.5]
    assert theirs.latency is not None and theirs.latency.vs_ours_ci95.low == 1.5
    assert theirs.operators["GlobalAveragePool"] == 1


def test_the_page_keeps_its_text_and_names_what_is_not_measured(rows: list[Row]) -> None:
    absent = NotMeasured(name="gone", tool="Gone", setting="fast", why="cannot be installed")
    found = results(rows, [absent])
    page = table.insert(f"before\n{table.BEGIN}\nold figures\n{table.END}\nafter\n", found)
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old figures" not in page
    assert "| tool: as it comes | 94.00 | -3.00 [" in page and "1.50 [1.50, 1.50]" in page
    assert "Gone, fast: not measured: cannot be installed" in page
    assert table.insert(page, found) == page
    with pytest.raises(ContractError, match="put both lines back"):
        table.insert("no place", found)


def test_groups_follow_the_parameters_and_the_cpu() -> None:
    params = load_params(ROOT / "params.yaml")
    vnni = plan.groups(params, "x86_64", "avx2 avx512_vnni")
    assert [group.name for group in vnni] == [
        "mobilenetv2-baseline.onnx",
        "mobilenetv2-baseline.tflite",
        "efficientnet-lite0-baseline.onnx",
        "efficientnet-lite0-baseline.tflite",
    ]
    assert vnni[0].ours == ("mobilenetv2-ptq", "mobilenetv2-qat")
    assert vnni[0].calibrated == {"mobilenetv2-ptq"}
    defaults = {
        arch: next(peer for peer in plan.peers("onnx", arch, isa) if peer.default).options
        for arch, isa in (("x86_64", "avx2"), ("aarch64", "asimd"))
    }
    assert defaults["x86_64"]["reduce_range"] and defaults["x86_64"]["activations"] == "QUInt8"
    assert not defaults["aarch64"]["reduce_range"]
    assert defaults["aarch64"]["activations"] == "QInt8"
    assert not any(peer.options.get("reduce_range") for peer in vnni[0].peers)


def test_an_environment_is_a_pinned_file_without_index() -> None:
    named = {tool.environment for tool in plan.TOOLS} - {None}
    assert {path.stem for path in environments.REQUIREMENTS.iterdir()} == named
    for path in environments.REQUIREMENTS.iterdir():
        lines = path.read_text().splitlines()
        assert not [line for line in lines if line.startswith("-") or "://" in line]
        assert [line for line in lines if "==" in line]


@pytest.mark.slow
def test_a_peer_is_made_and_measured_like_ours(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests import tiny  # noqa: PLC0415 (torch, 3 s: not for the tests above)

    checkout = tmp_path / "checkout"
    shutil.copytree(chain, checkout)
    monkeypatch.chdir(checkout)
    for name in ("base", "ptq"):
        tiny.run("export_onnx", name)
    params = load_params(checkout / "params.yaml")
    (group,) = plan.groups(params, "x86_64", "avx512_vnni")
    good = next(peer for peer in group.peers if peer.default and peer.tool is plan.ONNX_RUNTIME)
    options = {**good.options, "calibrate": "Guess"}
    group = Group(
        group.baseline,
        group.dataset,
        group.format,
        ours=("ptq",),
        calibrated=frozenset({"ptq"}),
        peers=(good, Peer(good.tool, "bad", "Guess", options)),
    )
    folders = Folders(checkout, tmp_path / "work")
    quick = Settings(rounds=2, min_runs=3, min_seconds=0.01, max_warmup_seconds=0.1)

    found = compare.compare(group, folders, quick, params.tolerances.classify.int8)

    assert [row.name for row in found.rows] == ["ptq", good.name, "base"]
    ours, theirs, _ = found.rows
    assert theirs.operators["QLinearConv"] >= 50 and theirs.sqnr_db is not None
    assert theirs.sqnr_db > 10 and abs(theirs.top1 - ours.top1) < 0.15
    assert theirs.seconds is not None and ours.seconds is not None
    assert theirs.latency is not None and theirs.latency.runs >= 6
    assert [absent.name for absent in found.not_measured] == ["bad"]
    assert "Guess" in found.not_measured[0].why

    # A second run takes the same file.
    file = folders.work / group.name / good.name / "model.onnx"
    written = file.stat().st_mtime_ns
    again = compare.compare(group, folders, quick, params.tolerances.classify.int8)
    assert again.rows[1].top1 == theirs.top1 and file.stat().st_mtime_ns == written
