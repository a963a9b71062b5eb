"""Tiny networks through the real profilers, each in a process of its own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgesmith import contract as contracts
from edgesmith.cli import app
from edgesmith.errors import ContractError, DataError, RuntimeUnavailableError
from edgesmith.profile import chrome, folder, subject, summary
from edgesmith.profile.take import Profile, artifact, take
from tests.artifacts import make_artifact
from tests.runtimes.test_litert import make_artifact as make_tflite
from tests.runtimes.test_ncnn import make_ncnn_artifact

MAKERS = {"onnx": make_artifact, "tflite": make_tflite, "ncnn": make_ncnn_artifact}
# Operators that the network of tests.artifacts has in each runtime.
NODES = {"onnx": {"GlobalAveragePool"}, "tflite": set(), "ncnn": {"Pooling", "InnerProduct"}}


@pytest.fixture(scope="module", params=MAKERS)
def profile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    made = MAKERS[request.param](tmp_path_factory.mktemp("made") / request.param)
    return take([artifact(made)], runs=6, threads=1)[0]


def _fail(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["profile", *map(str, arguments)])
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    return result.stderr


def test_kernels_take_no_more_than_the_inference(profile: Profile) -> None:
    assert len(profile.recording.runs) == 6
    for run in profile.recording.runs:
        inside = sum(kernel.duration_us for kernel in run.kernels) + sum(run.overhead_us.values())
        assert inside <= run.total_us * (1 + 1e-9)
    found = profile.summary
    assert found.kernel_ms <= found.run_ms
    rest = sum(found.overhead_ms.values())
    assert found.kernel_ms + rest == pytest.approx(found.run_ms, abs=1e-4)


def test_every_node_shows_in_every_inference(profile: Profile) -> None:
    found = profile.summary
    assert NODES[found.subject.format] <= set(found.ops)
    assert found.launches == len(found.layers) == len(profile.recording.nodes) > 0
    for run in profile.recording.runs:
        assert [kernel.node for kernel in run.kernels] == list(range(found.launches))
    assert sum(time.ms for time in found.ops.values()) == pytest.approx(found.kernel_ms, abs=1e-4)


def test_what_profiling_costs_is_stated(profile: Profile) -> None:
    found = profile.summary
    ratio = found.profiled_p50_ms / found.plain_p50_ms
    assert found.profiling_ratio == pytest.approx(ratio, rel=0.01)
    assert found.method and found.caveats and found.words.startswith(found.subject.label)


def test_trace_is_one_that_chrome_reads(profile: Profile, tmp_path: Path) -> None:
    folder.write(tmp_path / "new", [profile])
    trace = json.loads((tmp_path / "new" / chrome.FILE).read_text())
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert {event["ph"] for event in trace["traceEvents"]} == {"X", "M"}
    assert all(event["ts"] >= 0 and event["dur"] >= 0 and event["name"] for event in spans)
    kernels = [event for event in spans if event["cat"] == "kernel"]
    whole = [event for event in spans if event["cat"] == "inference"]
    assert len(whole) == 6 and len(kernels) == 6 * profile.summary.launches
    assert all(
        any(w["ts"] <= k["ts"] and k["ts"] + k["dur"] <= w["ts"] + w["dur"] + 1 for w in whole)
        for k in kernels
    )
    assert summary.read(tmp_path / "new") == profile.summary


def test_two_are_compared_by_layer_and_drawn(tmp_path: Path) -> None:
    first = make_artifact(tmp_path / "int8", variant="int8", quantized=True)
    second = make_artifact(tmp_path / "fp32", variant="fp32")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app,
        ["profile", str(first), "--against", str(second), "--out", str(out), "--runs", "4"],
    )
    assert result.exit_code == 0, result.output
    pair = json.loads((out / "comparison.json").read_text())
    assert (pair["first"], pair["second"]) == ("int8.onnx", "fp32.onnx")
    matched = {(layer["op_first"], layer["op_second"]) for layer in pair["layers"]}
    assert any("AveragePool" in one and "AveragePool" in other for one, other in matched)
    assert pair["families"]["conversion"]["first_ms"] >= pair["families"]["conversion"]["second_ms"]
    for name in ("where", "timeline", "against"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "exists" in _fail(first, "--out", out)


def test_a_format_without_profiler_is_refused_with_the_way_to_go(tmp_path: Path) -> None:
    made = make_artifact(tmp_path / "torchscript", format_name="torchscript")
    message = _fail(made)
    assert "no profiler for the format 'torchscript'" in message and "models/tiny" in message


def test_a_damaged_artifact_is_refused(tmp_path: Path) -> None:
    made = make_artifact(tmp_path / "onnx")
    (made / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ContractError, match="does not match"):
        artifact(made)


def test_what_the_engine_cannot_load_is_named_by_its_process(tmp_path: Path) -> None:
    made = make_artifact(tmp_path / "onnx")
    (made / "model.onnx").write_bytes(b"damaged")
    files = contracts.describe_files(made)
    contracts.write(contracts.read(made).model_copy(update={"files": files}), made)
    with pytest.raises(RuntimeUnavailableError, match=r"model\.onnx"):
        take([artifact(made)], runs=2, threads=1)


def test_folders_that_are_no_profile_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"summary\.json"):
        folder.draw(tmp_path)
    (tmp_path / "summary.json").write_text('{"version": 1}')
    with pytest.raises(ContractError, match="another version"):
        folder.read(tmp_path)
    with pytest.raises(DataError, match="exists"):
        folder.refuse_existing(tmp_path)


def test_missing_matplotlib_says_how_to_draw_later(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(tmp_path / "new", [profile])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeUnavailableError, match="edgesmith profile --plot"):
        folder.draw(tmp_path / "new")


def test_missing_engine_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_artifact(tmp_path / "onnx")
    (tmp_path / "job").mkdir()
    request = subject.Request(target=made)
    (tmp_path / "job/request.json").write_text(request.model_dump_json())

    def missing(name: str) -> None:
        raise ModuleNotFoundError("no", name="onnxruntime")

    monkeypatch.setattr("edgesmith.profile.subject.importlib.import_module", missing)
    from edgesmith.bench.frame import camera_frame  # noqa: PLC0415 (beside its one use)

    with pytest.raises(RuntimeUnavailableError, match=r"edgesmith\[device-onnx\]"):
        subject.load(tmp_path / "job", 1, ("cpu",), camera_frame())
