"""The system's Python with HailoRT in it, as its parent sees it: questions, answers, its death."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import subprocess
import tempfile
import weakref
from collections.abc import Mapping
from typing import Any

from edgesmith.errors import RuntimeUnavailableError
from edgesmith.hef import preflight

PYTHON = "EDGESMITH_HAILO_PYTHON"
# pyHailoRT is a Debian package on a Raspberry Pi, and a wheel for one Python elsewhere.
_DEFAULT = "/usr/bin/python3"
PROTOCOL = 1
_WORKER = "edgesmith.hef.worker"
# Beyond what the worker grants a frame, and what opening the chip and a large HEF takes.
_PATIENCE_S = 60.0
_LOOK = "`edgesmith hailo check` looks at chip, driver and library"
_INSTALL = (
    "`sudo apt install hailo-all` on a Raspberry Pi, elsewhere HailoRT and its pyHailoRT wheel "
    f"from Hailo's developer zone, for a Python with numpy below 2 that {PYTHON} names"
)


class Process:
    """The worker; ended with `close`, with this object, or with this process."""

    def __init__(self, descriptors: tuple[int, ...] = ()) -> None:
        """Start it, with these file descriptors, and compare versions.

        RuntimeUnavailableError says what is missing.
        """
        self.python = os.environ.get(PYTHON, _DEFAULT)
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe nobody reads would fill up)
        spec = importlib.util.find_spec(_WORKER)
        if spec is None or spec.origin is None:
            raise RuntimeUnavailableError(f"{_WORKER} is missing; install edgesmith again")
        try:
            self._process = subprocess.Popen(
                [self.python, "-u", spec.origin],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                env=_environment(os.environ),
                bufsize=0,
                pass_fds=descriptors,
            )
        except OSError as error:
            raise RuntimeUnavailableError(
                f"HailoRT: {self.python} cannot be started ({error.strerror}); {_INSTALL}"
            ) from error
        self.close = weakref.finalize(self, _end, self._process)
        try:
            self.versions = self._hello()
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, patience_s: float = 0.0, **values: Any) -> dict[str, Any]:
        """The answer to a command.

        Raises RuntimeUnavailableError with the remedy for HailoRT's status, or why the worker died;
        `patience_s` is granted beyond the usual minute.
        """
        answer = self._exchange({"do": do, **values}, _PATIENCE_S + patience_s)
        if "error" in answer:
            status = answer["status"]
            named = "" if status is None else f"status {status}: "
            remedy = preflight.REMEDIES.get(status, _LOOK)
            raise RuntimeUnavailableError(f"HailoRT, {do}: {named}{answer['error']}; {remedy}")
        return answer

    def _hello(self) -> dict[str, Any]:
        found = self._exchange({"do": "hello"}, _PATIENCE_S)
        if "error" in found:
            raise RuntimeUnavailableError(
                f"HailoRT: {self.python} has no pyHailoRT ({found['error']}); {_INSTALL}"
            )
        if found["protocol"] != PROTOCOL:
            raise RuntimeUnavailableError(
                f"HailoRT: the worker speaks protocol {found['protocol']}, this is {PROTOCOL}; "
                "install edgesmith again: its files are of two versions"
            )
        return found

    def _exchange(self, command: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the worker has no pipes")
        try:
            stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError as error:
            raise RuntimeUnavailableError(self._cause_of_death()) from error
        line = bytearray()
        while not line.endswith(b"\n"):
            if not select.select([stdout], [], [], limit_s)[0]:
                self._process.kill()
                raise RuntimeUnavailableError(
                    f"HailoRT, {command['do']}: no answer within {limit_s:g} s; the chip hangs: "
                    "reboot, or `hailortcli fw-control reset --reset-type soft`"
                )
            piece = os.read(stdout.fileno(), 1 << 16)
            if not piece:
                raise RuntimeUnavailableError(self._cause_of_death())
            line += piece
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _cause_of_death(self) -> str:
        status = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        last = f": {lines[-1]}" if lines else ""
        return f"HailoRT: the process that runs it ({self.python}) ended with {how}{last}; {_LOOK}"


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Without what leads to this Python's own packages; HailoRT's log lands nowhere."""
    away = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {key: value for key, value in own.items() if key not in away}
    return {**kept, "HAILORT_LOGGER_PATH": "NONE"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it give the chip back, which it does at the end of its input; kill it if it hangs."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
