"""From a built checkout to events at a receiver, through every step that a device takes.

    python -m examples.roundtrip --work tmp/roundtrip

Pushes an artifact into a DVC remote, signs it, serves the remote by a static HTTP server, pulls it
in a new virtual environment that has the device's packages alone, watches a rendered film with it,
and ships the events to a local receiver. It ends with 0 only if each event of the log arrived once.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesmith.film.store import VIDEO

REMOTE = "roundtrip"
STATIC = ["-m", "http.server", "--bind", "127.0.0.1", "--directory"]
EXTRAS = {"onnx": "device-onnx", "ncnn": "device-ncnn", "tflite": "device-tflite"}


def main() -> None:
    """Take the steps one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.roundtrip",
        description="Publish, pull, serve and sync on this machine. Run it in a built checkout.",
    )
    parser.add_argument("--work", type=Path, default=Path("tmp/roundtrip"))
    parser.add_argument("--variant", default="yolo26n-qat")
    parser.add_argument("--format", default="onnx", choices=sorted(EXTRAS))
    parser.add_argument("--seconds", type=float, default=10, help="length of the film")
    parser.add_argument("--threshold", help="of the detector, in place of its contract's")
    asked = parser.parse_args()
    try:
        run(asked)
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(map(str, error.cmd))} ended with status {error.returncode}")


def run(asked: argparse.Namespace) -> None:
    """All steps; prints one line for each."""
    work = asked.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    remote, store, log = work / "remote", work / "store", work / "events.db"
    key_line = publish(asked, work, remote)
    device = install(EXTRAS[asked.format], work)
    with serving([*STATIC, str(remote)], remote_port := free_port()):
        pulled = edgesmith(
            device,
            *("pull", f"http://127.0.0.1:{remote_port}", "--device", "host", "--json"),
            *("--variant", asked.variant, "--format", asked.format),
            *("--key", key_line, "--store", str(store)),
        )
    say("pulled", f"{pulled['current']}, {pulled['received_bytes']:,} bytes")
    film = shoot(work, asked.seconds)
    threshold = ("--threshold", asked.threshold) if asked.threshold else ()
    served = edgesmith(
        device,
        *("serve", pulled["current"], "--source", str(film), "--every", "adaptive"),
        *("--fast", "--every-frame", "--events", str(log), *threshold, "--json"),
    )
    say("served", f"{served['frames']} frames, {served['fps']:.0f} per second")
    received = work / "received.jsonl"
    port = free_port()
    with serving(["-m", "examples.receiver", "--into", str(received), "--port"], port):
        shipped = edgesmith(device, "sync", str(log), f"http://127.0.0.1:{port}/events", "--json")
    held = edgesmith(device, "events", str(log), "--stats", "--json")["events"]
    keys = [json.loads(line)["key"] for line in received.read_text().splitlines()]
    say("shipped", f"{shipped['events']} events in {shipped['batches']} batches")
    if not held or sorted(set(keys)) != sorted(keys) or len(keys) != held:
        sys.exit(f"error: {held} events in {log}, {len(keys)} lines in {received}")
    say("received", f"{len(keys)} events, each once")


def publish(asked: argparse.Namespace, work: Path, remote: Path) -> str:
    """Push the artifact and sign it; the line that devices are given once."""
    key = work / "publish.key"
    if not key.exists():
        call(here("edgesmith"), "publish", "--new-key", "--key", str(key))
    dvc = [sys.executable, "-m", "dvc"]
    # In .dvc/config.local, which is not in git.
    call(*dvc, "remote", "add", "--local", "--force", "--quiet", REMOTE, str(remote))
    try:
        artifact = f"artifacts/{asked.variant}/{asked.format}"
        call(*dvc, "push", "--quiet", "--remote", REMOTE, artifact)
        made = json.loads(
            call(
                *(here("edgesmith"), "publish", "--remote", REMOTE, "--key", str(key), "--json"),
                *("--variant", asked.variant, "--format", asked.format),
                *("--default", asked.variant),
            )
        )
    finally:
        call(*dvc, "remote", "remove", "--local", REMOTE)
    say("published", f"{made['path']}, serial {made['manifest']['serial']}")
    return str(made["keys"][0])


def install(extra: str, work: Path) -> Path:
    """The program in a new environment with what a device needs, and nothing of the build side."""
    call(here("uv"), "build", "--quiet", "--wheel", "--out-dir", str(work / "wheel"))
    (wheel,) = (work / "wheel").glob("*.whl")
    place = work / "device"
    call(here("uv"), "venv", "--quiet", "--clear", str(place))
    call(
        *(here("uv"), "pip", "install", "--quiet", "--python", str(place / "bin/python")),
        f"edgesmith[{extra},serve,deliver] @ {wheel.as_uri()}",
    )
    torch = subprocess.run(
        [str(place / "bin/python"), "-c", "import torch"], capture_output=True, check=False
    )
    if torch.returncode == 0:
        sys.exit("error: the device's environment has torch")
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    say("installed", f"{wheel.name} with {extra}, serve and deliver: {size / 1e6:.0f} MB")
    return place / "bin/edgesmith"


def shoot(work: Path, seconds: float) -> Path:
    """A film of moving signs."""
    call(sys.executable, "-m", "edgesmith.film", str(work / "film"), "--seconds", f"{seconds:g}")
    film = work / "film" / VIDEO
    say("rendered", str(film))
    return film


@contextmanager
def serving(module: Sequence[str], port: int) -> Iterator[None]:
    """A server of this machine, with its port as last argument, as long as the block runs."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *module, str(port)], stdout=quiet, stderr=quiet)
    try:
        for _ in range(200):
            if process.poll() is not None:
                sys.exit(f"error: {' '.join(module)} ended with status {process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def edgesmith(program: Path, *arguments: str) -> dict[str, Any]:
    """What a command of the device says as JSON."""
    found: dict[str, Any] = json.loads(call(str(program), *arguments))
    return found


def call(*command: str) -> str:
    """Standard output of a command that must succeed; where it complains is on the terminal."""
    # A device has no PYTHONPATH to the checkout.
    away = {"PYTHONPATH"} if "device/bin" in command[0] else set()
    environment = {key: value for key, value in os.environ.items() if key not in away}
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout


def here(program: str) -> str:
    """A program of the environment that runs this."""
    return str(Path(sys.executable).with_name(program))


def free_port() -> int:
    """A port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(step: str, what: str) -> None:
    """One line of the protocol."""
    print(f"{step:>10}  {what}", flush=True)


if __name__ == "__main__":
    main()
