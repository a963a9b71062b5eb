"""A connected device: operations of `onboard` and of the package, repeated when the line breaks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from edgesmith.remote import onboard
from edgesmith.remote.connection import Connection, Done
from edgesmith.remote.errors import ConnectionLostError, RemoteError
from edgesmith.remote.options import Options
from edgesmith.remote.target import Target

Answer = TypeVar("Answer")

OLDEST_PYTHON = (3, 11)
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 20.0
_SCRIPT = Path(onboard.__file__)
_VERSION = 'import sys; print("edgesmith-python", *sys.version_info[:3])'
_NOT_FOUND = (126, 127)


class Remote:
    """What answers at a target; `deadline` (of time.monotonic) ends all trying again."""

    def __init__(self, connection: Connection, options: Options) -> None:
        """Connect, and refuse a device without a Python that can run edgesmith."""
        self.connection = connection
        self.target = connection.target
        self.options = options
        self.deadline = time.monotonic() + options.timeout_s
        self._python = self.target.python
        # Not repeated: what cannot be reached at the start is not there.
        self._require_python(self.connection.run([self._python, "-c", _VERSION]))

    def repeat(self, attempt: Callable[[], Answer]) -> Answer:
        """The result of `attempt`, made again after each loss of the connection, ever later."""
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                return attempt()
            except ConnectionLostError as fault:
                if time.monotonic() + delay > self.deadline:
                    raise ConnectionLostError(
                        f"{fault}; given up after --remote-timeout {self.options.timeout_s:.0f} s"
                    ) from fault
                self.options.say(f"{fault}; trying again in {delay:.1f} s")
                time.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    def ask(self, operation: str, *, timeout_s: float = 60.0, **arguments: Any) -> dict[str, Any]:
        """The answer of an operation of `onboard`; RemoteError with what the device refused."""
        return self.repeat(lambda: self.ask_once(operation, timeout_s=timeout_s, **arguments))

    def ask_once(
        self, operation: str, *, timeout_s: float = 60.0, **arguments: Any
    ) -> dict[str, Any]:
        """As `ask`, without trying again."""
        words = [self._python, "-", operation, json.dumps(arguments)]
        script = _SCRIPT.read_bytes()
        answer = self._answer(self.connection.run(words, script, timeout_s=timeout_s))
        if "error" in answer:
            raise RemoteError(f"{self.target}: {answer['error']}")
        return answer

    def call(self, package: str, *arguments: str) -> dict[str, Any]:
        """The answer of `python -m edgesmith.remote.job` from the package folder there."""
        # Through env, for not every shell takes assignments before a command.
        path = ["env", f"PYTHONPATH={package}", f"XDG_CACHE_HOME={package}.cache"]
        words = [*path, self._python, "-m", "edgesmith.remote.job", *arguments]
        return self._answer(self.repeat(lambda: self.connection.run(words, timeout_s=120)))

    def put(self, file: Path, path: str, offset: int, sent: Callable[[int], None]) -> None:
        """Send a file's bytes from `offset` on to their places in the file `path` there."""
        code = (
            "import os, shutil, sys; f = open(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, "
            "0o600), 'wb'); f.seek(int(sys.argv[2])); shutil.copyfileobj(sys.stdin.buffer, f); "
            "f.flush(); os.fsync(f.fileno())"
        )
        words = [self._python, "-c", code, path, str(offset)]
        done = self.connection.put(words, file, offset, sent)
        if done.status != 0:
            raise RemoteError(f"{self.target}: {path}: {_last(done.messages)}")

    def pip(self, *requirements: str) -> str:
        """The command line that installs requirements for the device's Python."""
        wanted = " ".join(f"'{name}'" if ">" in name else name for name in requirements)
        return f"run there: {self._python} -m pip install {wanted}"

    def _answer(self, done: Done) -> dict[str, Any]:
        lines = [line for line in done.output.splitlines() if line.startswith(onboard.MARK)]
        if not lines:
            last = _last(done.messages) or _last(done.output) or "no message"
            raise RemoteError(f"{self.target}: {self._python} ended with {done.status}: {last}")
        answer: dict[str, Any] = json.loads(lines[-1].removeprefix(onboard.MARK))
        return answer

    def _require_python(self, done: Done) -> None:
        lines = [line for line in done.output.splitlines() if line.startswith("edgesmith-python ")]
        oldest = ".".join(map(str, OLDEST_PYTHON))
        remedy = f"Python {oldest} or newer is needed there; name one with --remote-python"
        if done.status in _NOT_FOUND or not lines:
            why = _last(done.messages) or f"status {done.status}"
            raise RemoteError(f"{self.target}: no {self._python} ({why}); {remedy}")
        version = tuple(int(part) for part in lines[-1].split()[1:])
        if version < OLDEST_PYTHON:
            found = ".".join(map(str, version))
            raise RemoteError(f"{self.target}: {self._python} is Python {found}; {remedy}")


@contextmanager
def connect(target: Target, options: Options) -> Iterator[Remote]:
    """The device at a target, for as long as the block lasts.

    Raises ConnectionLostError when nothing answers, RemoteError when it refuses this host or has
    no Python that can run edgesmith.
    """
    with Connection(target) as connection:
        yield Remote(connection, options)


def _last(messages: str) -> str:
    lines = messages.strip().splitlines()
    return lines[-1].strip() if lines else ""
