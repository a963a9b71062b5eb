import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ssh.loopback import Loopback
from edgesmith import contract as contracts
from edgesmith.bench import measure as local
from edgesmith.bench.measure import Settings
from edgesmith.bench.record import Bench
from edgesmith.errors import ContractError, EdgesmithError, RuntimeUnavailableError
from edgesmith.remote import onboard
from edgesmith.remote.connection import CONFIG
from edgesmith.remote.errors import ConnectionLostError, RemoteError
from edgesmith.remote.measure import measure, measure_pair
from edgesmith.remote.options import Options
from edgesmith.remote.target import Target
from tests.artifacts import make_artifact
from tests.imports import ROOT
from tests.remote.conftest import contents
from tests.remote.proxy import proxy

QUICK = Settings(rounds=1, min_runs=5, min_seconds=0.01, max_warmup_seconds=0.1)
# About three seconds on the device.
LONG = Settings(rounds=3, min_runs=5, min_seconds=0.8, max_warmup_seconds=0.1)
CACHE = ".cache/edgesmith/remote"


def _measure(
    device: Loopback, artifact: Path, options: Options, settings: Settings = QUICK
) -> Bench:
    return measure_pair(
        device.target, artifact, artifact, settings, device_name="rpi5", options=options
    )


def _refused(device: Target, artifact: Path, options: Options) -> str:
    with pytest.raises(EdgesmithError) as refused:
        measure_pair(device, artifact, artifact, QUICK, device_name="rpi5", options=options)
    assert not isinstance(refused.value, ConnectionLostError)
    return str(refused.value)


def _change(artifact: Path, **keys: object) -> None:
    contract = contracts.read(artifact)
    contracts.write(contract.model_copy(update=keys), artifact)


@contextmanager
def _in_thread(run: Callable[[], Bench]) -> Iterator[list[Bench]]:
    """The block runs beside `run`, whose result is in the list after it."""
    results: list[Bench] = []
    thread = threading.Thread(target=lambda: results.append(run()))
    thread.start()
    try:
        yield results
    finally:
        thread.join()


def _wait_for_job(device: Loopback) -> Path:
    """The folder of the job that runs on the device, once it does."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for pid in (device.home / CACHE).glob("*/pid"):
            return pid.parent
        time.sleep(0.02)
    raise AssertionError("no job was started")


def test_figures_have_the_shape_of_a_local_run(
    device: Loopback, artifact: Path, tmp_path: Path, options: Options
) -> None:
    baseline = make_artifact(tmp_path / "base/onnx", variant="base")
    measured = measure(
        device.target, artifact, baseline, QUICK, device_name="rpi5", options=options
    )
    here = local.measure_pair(artifact, baseline, QUICK, device="rpi5", fingerprint="0" * 12)
    assert measured.bench.model_dump().keys() == here.model_dump().keys()
    for key in ("device", "variant", "format", "precision", "runtime", "providers", "baseline"):
        assert getattr(measured.bench, key) == getattr(here, key)
    assert measured.bench.fingerprint == measured.device.fingerprint_id
    assert measured.bench.runs >= 5 and measured.bench.latency_ms.p50 > 0


def test_unknown_host_key_is_an_error_that_says_how_to_add_it(
    device: Loopback, artifact: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG, str(device.write_config("nobody", "")))
    message = _refused(device.target, artifact, options)
    assert "host key is unknown" in message
    assert f"ssh-keyscan -p {device.port} 127.0.0.1" in message


def test_changed_host_key_is_an_error_that_says_so(
    device: Loopback, artifact: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG, str(device.write_config("changed", device.host_key("other"))))
    assert "host key has CHANGED" in _refused(device.target, artifact, options)


def test_account_that_takes_no_key_of_ours_says_ssh_copy_id(
    device: Loopback, artifact: Path, options: Options
) -> None:
    message = _refused(device.target._replace(user="nobody"), artifact, options)
    assert "ssh-copy-id" in message


def test_nobody_at_the_port_is_a_lost_connection_at_once(artifact: Path, options: Options) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(ConnectionLostError, match="refused"):
        measure_pair(
            Target("127.0.0.1", "pi", port),
            *(artifact, artifact, QUICK),
            device_name="rpi5",
            options=options,
        )
    assert time.monotonic() - started < 10


def test_damaged_artifact_is_refused_before_anything_is_sent(
    device: Loopback, artifact: Path, options: Options
) -> None:
    artifact.joinpath("model.onnx").write_bytes(b"damaged")
    with pytest.raises(ContractError, match="does not match"):
        _measure(device, artifact, options)


def test_python_that_is_not_there_names_the_option(
    device: Loopback, artifact: Path, options: Options
) -> None:
    message = _refused(device.target._replace(python="/no/python"), artifact, options)
    assert "no /no/python" in message and "--remote-python" in message


def test_old_python_is_named(device: Loopback, artifact: Path, options: Options) -> None:
    old = device.folder / "python-old"
    old.write_text("#!/bin/sh\necho edgesmith-python 3 9 2\n")
    old.chmod(0o755)
    message = _refused(device.target._replace(python=str(old)), artifact, options)
    assert "Python 3.9.2; Python 3.11 or newer is needed there" in message


@pytest.mark.slow
def test_missing_libraries_are_named_with_the_line_that_installs_them(
    device: Loopback, artifact: Path, options: Options
) -> None:
    bare = str(device.pythons.bare)
    message = _refused(device.target._replace(python=bare), artifact, options)
    assert f"{bare} -m pip install numpy opencv-python-headless pydantic psutil" in message


@pytest.mark.slow
def test_missing_engine_is_named_with_the_line_that_installs_it(
    device: Loopback, artifact: Path, options: Options
) -> None:
    target = device.target._replace(python=str(device.pythons.without_engine))
    with pytest.raises(RuntimeUnavailableError, match=r"pip install 'onnxruntime>="):
        measure_pair(target, artifact, artifact, QUICK, device_name="rpi5", options=options)


@pytest.mark.slow
def test_artifact_for_another_processor_is_refused(
    device: Loopback, artifact: Path, options: Options
) -> None:
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    _change(artifact, target=f"linux {other}")
    message = _refused(device.target, artifact, options)
    assert f"built for linux {other}, and this machine is {platform.machine()}" in message


@pytest.mark.slow
def test_folder_that_may_not_be_written_names_the_option(
    device: Loopback, artifact: Path, options: Options
) -> None:
    message = _refused(device.target, artifact, options._replace(folder="/etc/edgesmith"))
    assert "Permission denied" in message and "--remote-folder" in message


@pytest.mark.slow
def test_full_disk_is_seen_before_anything_is_sent(
    device: Loopback, artifact: Path, options: Options
) -> None:
    small = device.folder / "small disk"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=1777", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        message = _refused(device.target, artifact, options._replace(folder=str(small / "work")))
        assert contents(small) == set()
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert "MB are free" in message and "--remote-folder" in message


@pytest.mark.slow
def test_another_device_than_the_one_on_record_is_refused(
    device: Loopback, artifact: Path, options: Options
) -> None:
    with pytest.raises(EdgesmithError, match="not the 'rpi5' on record"):
        measure_pair(
            *(device.target, artifact, artifact, QUICK),
            device_name="rpi5",
            fingerprint_id="0" * 12,
            options=options,
        )


@pytest.mark.slow
def test_cut_transfer_goes_on_where_it_was(
    device: Loopback,
    artifact: Path,
    options: Options,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = 24_000_000
    artifact.joinpath("more.bin").write_bytes(os.urandom(size))
    _change(artifact, files=contracts.describe_files(artifact))
    with proxy(device.port, cut_after=size // 2) as between:
        monkeypatch.setenv(CONFIG, str(device.write_config("far", device.host_key())))
        far = device.target._replace(port=between.port)
        measured = measure_pair(far, artifact, artifact, QUICK, device_name="rpi5", options=options)
    assert measured.runs >= 5
    assert between.cuts == 1 and between.connections >= 2
    assert any("trying again" in line for line in said)
    # What was under way when the line was cut is lost: a window of SSH, 2 MB.
    assert size < between.sent_bytes < size + 5_000_000


@pytest.mark.slow
def test_dropped_connection_does_not_lose_the_job(
    device: Loopback, artifact: Path, options: Options, said: list[str]
) -> None:
    with _in_thread(lambda: _measure(device, artifact, options, LONG)) as results:
        _wait_for_job(device)
        assert device.drop_connections() > 0
    assert results[0].rounds == 3
    assert any("trying again" in line for line in said)


@pytest.mark.slow
def test_job_of_a_killed_host_is_taken_over(
    device: Loopback, artifact: Path, options: Options, said: list[str]
) -> None:
    command = _command_line(device, artifact)
    job = _wait_for_job(device)
    command.send_signal(signal.SIGKILL)
    command.wait()
    assert job.joinpath("pid").exists()
    settings = Settings(rounds=3, providers=())  # as the command line has it
    measured = measure_pair(
        device.target, artifact, artifact, settings, device_name="127.0.0.1", options=options
    )
    assert measured.rounds == 3
    assert any("taking it over" in line for line in said)


@pytest.mark.slow
def test_ctrl_c_ends_the_job_and_leaves_nothing(device: Loopback, artifact: Path) -> None:
    command = _command_line(device, artifact)
    _wait_for_job(device)
    assert device.processes()
    command.send_signal(signal.SIGINT)
    assert command.wait() != 0
    # The fixture looks for what is left.


@pytest.mark.slow
def test_job_that_takes_too_long_ends_by_itself(
    device: Loopback, artifact: Path, options: Options
) -> None:
    with pytest.raises(RemoteError, match=r"--remote-timeout 6 s|more than 6 s"):
        measure_pair(
            *(device.target, artifact, artifact, LONG._replace(rounds=60)),
            device_name="rpi5",
            options=options._replace(timeout_s=6),
        )


def _command_line(device: Loopback, artifact: Path) -> subprocess.Popen[bytes]:
    """`edgesmith bench` of about five seconds, as a process of its own."""
    words = [
        *(sys.executable, "-m", "edgesmith", "bench", str(artifact), "--rounds", "3"),
        *("--device", str(device.target), "--remote-python", device.target.python),
        *("--remote-timeout", "60"),
    ]
    return subprocess.Popen(
        words,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_leftovers_of_killed_runs_go_after_a_day(tmp_path: Path) -> None:
    for name, age in (("old", 90_000), ("young", 3_000)):
        tmp_path.joinpath(name, "objects").mkdir(parents=True)
        then = time.time() - age
        os.utime(tmp_path / name, (then, then))
    tmp_path.joinpath("not-ours").mkdir()
    os.utime(tmp_path / "not-ours", (0, 0))
    onboard.prepare(str(tmp_path), "new", 60)
    assert {path.name for path in tmp_path.iterdir()} == {"young", "new", "not-ours"}
