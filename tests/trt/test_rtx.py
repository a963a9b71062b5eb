"""The builder's code against real vendor code: TensorRT-RTX, whose Python API is the same family.

No engine for a Jetson is built here, and nothing is run: there is no GPU.
"""

import sys
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.errors import ExportError, RuntimeUnavailableError
from edgesmith.trt import network, try_build
from tests.artifacts import make_artifact
from tests.trt import models

# Of the linter's faults these pass the builder; why they are refused all the same.
TAKEN = {
    "unsigned": "its levels above 127 would be clipped: the parser makes them int8 with a warning",
    "implied unsigned": "as above, for ONNX's default is uint8",
    "wrong axis": "the layer multiplies in float",
    "activation per channel": "the layer multiplies in float",
    "ancient opset": "the parser warns that it may not work",
    "dangling": "an int8 output, which no contract of ours describes",
}


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not try_build.is_installed():
        pytest.skip(f"{try_build.PACKAGE} is not installed")


def _save(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def test_intact_model_is_built_for_each_generation(tmp_path: Path) -> None:
    trial = try_build.trial(_save(models.good(), tmp_path), try_build.CAPABILITIES)
    assert trial.findings == [] and trial.layers > 3 and trial.engine_bytes > 1000
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]  # nothing is kept


def test_unknown_generation_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    trial = try_build.trial(_save(models.good(), tmp_path), (87,))
    assert "SM87" in trial.findings[0].fault and "SM86" in trial.findings[0].fault


@pytest.mark.slow
@pytest.mark.parametrize("name", models.REFUSED)
def test_builder_stops_at_what_the_linter_refuses(name: str, tmp_path: Path) -> None:
    model = models.good()
    models.REFUSED[name][0](model)
    trial = try_build.trial(_save(model, tmp_path))
    assert (trial.engine_bytes > 0) == (name in TAKEN)


def _build(folder: Path, cache: Path | None = None, **settings: object) -> network.Built:
    rtx = pytest.importorskip("tensorrt_rtx")
    said: list[str] = []
    log = network.logger(rtx, lambda severity, message: said.append(message))
    chosen = network.Settings(capabilities=(86,), timing_cache=cache, **settings)
    built = network.build(rtx, log, models.good().SerializeToString(), chosen)
    assert said  # the tactics log has something to hold
    return built


def test_damaged_file_is_refused_with_the_parsers_reason() -> None:
    rtx = pytest.importorskip("tensorrt_rtx")
    log = network.logger(rtx, lambda severity, message: None)
    with pytest.raises(ExportError):
        network.build(rtx, log, b"not a model", network.Settings())


def test_dla_is_refused_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has no DLA"):
        _build(tmp_path, dla=True)


def test_timing_cache_is_written_and_a_damaged_one_starts_empty(tmp_path: Path) -> None:
    path = tmp_path / "timing.cache"
    path.write_bytes(b"damaged")
    assert _build(tmp_path, path).engine


def test_command_builds_and_says_what_it_built(artifact: Path) -> None:
    result = CliRunner().invoke(app, ["lint", str(artifact), "--build"])
    assert result.exit_code == 0 and "not kept" in result.output


def test_command_says_what_to_install(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeUnavailableError, match="tensorrt-lint"):
        try_build.trial_of_artifact(artifact)


def test_process_that_dies_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ExportError, match="status 1"):
        try_build.trial(_save(models.good(), tmp_path))


def test_uint8_artifact_is_refused_by_lint_and_by_the_builder(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "tiny/onnx", quantized=True)
    assert try_build.trial_of_artifact(folder).findings
