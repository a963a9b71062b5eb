"""HEF artifacts up to pyHailoRT: NO VENDOR CODE RAN, tests.hef.vendor stands in for it.

What is real: the worker's process, its protocol and shared memory, the reader of HEFs (the file is
synthetic), contracts.
"""

import gc
import json
from pathlib import Path

import numpy as np
import psutil
import pytest

from edgesmith import contract as contracts
from edgesmith.contract import Output
from edgesmith.device import doctor
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.hef import process
from edgesmith.hef.network import Network
from edgesmith.runtimes import hailort
from edgesmith.runtimes import session as runtimes
from tests.artifacts import SPEC, make_artifact
from tests.hef import files, vendor
from tests.hef.vendor import Vendor

IN = files.layer("net/input_layer1", (8, 12, 3), (8, 12, 4), files.numeric(1, 0, 0, 255))
LOGITS = files.layer(
    "net/fc1", (1, 1, 3), (1, 1, 8), files.numeric(0.125, 100, -12.5, 19.375), order=2, size=2
)
MAP = files.layer(
    "net/conv9",
    (2, 3, 3),
    (2, 3, 8),
    files.doubles(5, [3, 4, 5]) + files.doubles(6, [0.1, 0.2, 0.3]),
    order=3,
)
OUTPUTS = [
    {"name": "net/fc1", "shape": [3], "quantization": [[0.125, 100]]},
    {"name": "net/conv9", "shape": [2, 3, 3], "quantization": [[0.1, 3], [0.2, 4], [0.3, 5]]},
]


def hef_of(path: Path, *layers: bytes) -> Path:
    """A HEF of one context that takes IN and gives the layers."""
    edges = files.data(2, files.edge(IN, out=False)) + b"".join(
        files.data(2, files.edge(layer, out=True)) for layer in layers
    )
    context = files.data(3, files.number(1, 0) + files.data(3, files.data(1, "context_0") + edges))
    group = files.data(1, files.data(1, "net")) + context + files.data(6, "net/net")
    return files.write(path, 3, files.description(group))


def artifact_of(folder: Path) -> Path:
    """A classifier whose network gives the mean of each colour, in eighths, less 12.5."""
    make_artifact(folder, format_name="hef")
    (folder / "model.onnx").unlink()
    hef_of(folder / "model.hef", LOGITS)
    contract = contracts.read(folder)
    taken = contract.input.model_copy(
        update={
            "layout": "NHWC",
            "dtype": "uint8",
            "shape": [1, 8, 12, 3],
            "normalised_inside": True,
        }
    )
    given = Output(
        name="net/fc1", meaning="logits", dtype="float32", shape=[1, 3], decode="softmax"
    )
    changed = {"input": taken, "outputs": [given], "precision": "int8", "target": "hailo8l"}
    changed["files"] = contracts.describe_files(folder)
    contracts.write(contract.model_copy(update=changed), folder)
    return folder


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    made = vendor.make(tmp_path, OUTPUTS[:1], (8, 12, 3))
    monkeypatch.setenv(process.PYTHON, str(made.python))
    return made


@pytest.fixture
def images() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (3, SPEC.height, SPEC.width, 3), dtype=np.uint8)


def _expected(images: np.ndarray) -> np.ndarray:
    return ((np.rint(images.mean(axis=(1, 2))) - 100) * 0.125).astype(np.float32)


def _children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "worker.py" in " ".join(p.cmdline())]


def test_images_go_in_as_they_are_and_integers_come_out_as_real_values(
    board: Vendor, tmp_path: Path, images: np.ndarray
) -> None:
    session = runtimes.load(artifact_of(tmp_path / "tiny/hef"))
    assert session.engine == "hailort 4.23.0" and session.providers == ("hailo",)
    np.testing.assert_array_equal(runtimes.predict(session, images), _expected(images))
    session.close()
    assert not _children()


def test_calls_are_those_of_infer_model_in_their_order(
    board: Vendor, tmp_path: Path, images: np.ndarray
) -> None:
    session = runtimes.load(artifact_of(tmp_path / "tiny/hef"))
    runtimes.predict(session, images[:2])
    assert board.calls() == [
        ["VDevice", "round robin"],
        ["create_infer_model", "model.hef"],
        ["set_batch_size", 1],
        ["set_format_type", "net/input_layer1", "UINT8"],
        ["set_format_type", "net/fc1", "UINT16"],
        ["configure"],
        ["run"],
        ["run"],
    ]


def test_several_outputs_are_read_each_by_its_own_scales(board: Vendor, tmp_path: Path) -> None:
    board.change(outputs=OUTPUTS)
    network = Network(hef_of(tmp_path / "two.hef", LOGITS, MAP))
    network.frame[:] = 200
    network.run()
    fc, conv = network.results
    assert fc.dtype == np.uint16 and (fc == 201).all()  # the second by name
    assert conv.dtype == np.uint8 and conv.shape == (2, 3, 3) and (conv == 200).all()


def test_latency_and_throughput_are_measured_where_the_chip_is(
    board: Vendor, tmp_path: Path
) -> None:
    network = Network(hef_of(tmp_path / "one.hef", LOGITS))
    samples = network.latency_ms(0.01, min_runs=5)
    assert len(samples) >= 5 and min(samples) > 0
    assert network.throughput_fps(0.05) > 0
    names = [name for name, *_ in board.calls()]
    assert names.count("run") == len(samples) and names.count("run_async") > 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"missing": True}, "has no pyHailoRT .*hailo-all"),
        ({"devices": []}, r"status 74: .*lspci \| grep Hailo"),
        ({"fails": {"VDevice": 76}}, "status 76: .*driver and library are of different versions"),
        ({"fails": {"create_infer_model": 93}}, "status 93: .*compiled for another chip"),
        ({"fails": {"VDevice": 12}}, "status 12: .*edgesmith hailo check"),
    ],
)
def test_what_hailort_refuses_comes_with_the_remedy(
    board: Vendor, tmp_path: Path, change: dict, message: str
) -> None:
    board.change(**change)
    with pytest.raises(RuntimeUnavailableError, match=message):
        runtimes.load(artifact_of(tmp_path / "tiny/hef"))
    assert not _children()


def test_python_that_is_not_there_is_named(
    board: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(process.PYTHON, str(tmp_path / "nothing"))
    with pytest.raises(RuntimeUnavailableError, match="nothing cannot be started"):
        hailort.available_providers()


def test_worker_that_dies_is_explained(board: Vendor, tmp_path: Path, images: np.ndarray) -> None:
    board.change(fails={"run": "killed"})
    session = runtimes.load(artifact_of(tmp_path / "tiny/hef"))
    with pytest.raises(RuntimeUnavailableError, match="ended with signal SIGKILL"):
        runtimes.predict(session, images)
    with pytest.raises(RuntimeUnavailableError, match="ended with signal SIGKILL"):
        runtimes.predict(session, images)  # and again, in place of a broken pipe


def test_chip_that_hangs_is_given_up(
    board: Vendor, tmp_path: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.change(fails={"run": "hang"})
    session = runtimes.load(artifact_of(tmp_path / "tiny/hef"))
    monkeypatch.setattr(process, "_PATIENCE_S", 0.2)
    with pytest.raises(RuntimeUnavailableError, match=r"no answer within 0\.2 s; the chip hangs"):
        runtimes.predict(session, images)
    session.close()
    assert not _children()


def test_worker_of_another_version_is_refused(
    board: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PROTOCOL", 2)
    with pytest.raises(RuntimeUnavailableError, match="speaks protocol 1, this is 2"):
        hailort.available_providers()


def test_session_that_is_forgotten_gives_the_chip_back(board: Vendor, tmp_path: Path) -> None:
    session = runtimes.load(artifact_of(tmp_path / "tiny/hef"))
    assert len(_children()) == 1
    del session
    gc.collect()
    assert not _children()


def test_scales_that_hailort_reads_otherwise_are_refused(board: Vendor, tmp_path: Path) -> None:
    board.change(outputs=[{**OUTPUTS[0], "quantization": [[0.25, 100]]}])
    with pytest.raises(ContractError, match=r"HailoRT reads net/fc1 with scale \[0\.25\]"):
        runtimes.load(artifact_of(tmp_path / "tiny/hef"))


def test_hef_unlike_its_contract_is_refused(board: Vendor, tmp_path: Path) -> None:
    artifact = artifact_of(tmp_path / "tiny/hef")
    path = artifact / contracts.FILE
    path.write_text(path.read_text().replace("net/fc1", "net/fc2"))
    with pytest.raises(ContractError, match=r"no output is named 'net/fc2'.*it has net/fc1"):
        runtimes.load(artifact)
    assert not _children()


def test_hef_that_ends_in_nms_is_refused_before_anything_starts(
    board: Vendor, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match="ends in NMS"):
        Network(files.write(tmp_path / "nms.hef"))
    assert board.calls() == []


def test_another_provider_is_refused(board: Vendor, tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match="executes on hailo alone"):
        runtimes.load(artifact_of(tmp_path / "tiny/hef"), providers=("cpu",))


def test_doctor_asks_for_library_and_chip(board: Vendor) -> None:
    assert doctor._runs("hef") == "yes: hailort; providers hailo"
    board.change(devices=[])
    found = doctor._runs("hef")
    assert found.startswith("no: HailoRT") and "lspci" in found


def test_worker_needs_no_edgesmith_and_ends_with_its_input(board: Vendor) -> None:
    source = Path(process.__file__).with_name("worker.py").read_text()
    assert "edgesmith" not in source.replace("docs", "")
    running = process.Process()
    assert json.dumps(running.versions["protocol"]) == "1"
    child = _children()[0]
    running._process.stdin.close()
    assert child.wait(5) == 0
