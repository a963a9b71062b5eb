"""A worker process as its parent sees it: what to load in it, how long to measure, questions."""

from __future__ import annotations

import base64
import json
import math
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from edgesmith import errors
from edgesmith.bench.early_stopping import Percentile, fewest_runs
from edgesmith.errors import EdgesmithError, RuntimeUnavailableError

# A command that takes longer hangs: the slowest sensible cell (minutes of warm-up on a small
# board) is far below.
_PATIENCE_SECONDS = 900.0


class Settings(NamedTuple):
    """How to run and how long to measure; the meaning of `params.yaml: runtime` and `bench`.

    `min_runs` and `min_seconds` are those of a round, `max_seconds` all rounds of one network
    together: they end then, with fewer runs than the percentile needs. Where the rounds say that
    another measurement may give something else, more are taken, up to `max_rounds` in all. `fresh`:
    each round has processes of its own; otherwise they stay, for networks that take seconds to
    load.
    """

    threads: int = 1
    providers: tuple[str, ...] = ("cpu",)
    rounds: int = 5
    min_runs: int = 20
    min_seconds: float = 0.3
    max_warmup_seconds: float = 2.0
    percentile: Percentile = "p90"
    max_seconds: float = 60.0
    fresh: bool = True
    max_rounds: int = 0

    @property
    def runs_per_round(self) -> int:
        """`min_runs`, or more where the rounds together would not back the percentile."""
        return max(self.min_runs, math.ceil(fewest_runs(self.percentile) / self.rounds))


class Loadable(NamedTuple):
    """A folder with a network, and the module that loads it: a `worker.Loader`.

    `providers` and `threads` take the place of those in `Settings` where not every network has the
    same. `batch` images go into one call of `infer`; loaders of fixed batch 1 are never asked.
    """

    folder: Path
    by: str = "edgesmith.bench.artifact"
    providers: tuple[str, ...] = ()
    threads: int = 0
    batch: int = 1


class Process:
    """A worker process with one network loaded; a context manager."""

    def __init__(self, network: Loadable, settings: Settings, frame: bytes) -> None:
        """Start `python -m edgesmith.bench.worker`, which imports what is to `load` the network."""
        self._network = network
        self._settings = settings
        self._frame = frame
        # A file, for a pipe that nobody reads while the worker runs would stop it when full.
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgesmith.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        self.tell(do="prepare", by=network.by)

    def load(self) -> dict[str, Any]:
        """Load the network and run it once; what the worker says of it, from then on `loaded`."""
        self.answer()
        network, settings = self._network, self._settings
        self.loaded = self.ask(
            do="load",
            by=network.by,
            folder=str(network.folder),
            threads=network.threads or settings.threads,
            batch=network.batch,
            providers=list(network.providers or settings.providers),
            frame=base64.b64encode(self._frame).decode(),
        )
        return self.loaded

    def __enter__(self) -> Process:
        try:
            self.load()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, **command: Any) -> dict[str, Any]:
        """The worker's answer to one command; the EdgesmithError that it met; or why it died."""
        self.tell(**command)
        return self.answer()

    def tell(self, **command: Any) -> None:
        """Give a command whose `answer` is read later, so that several workers run at once."""
        if self._process.stdin is None:
            raise RuntimeError("the worker has no pipes")
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise RuntimeUnavailableError(self._cause_of_death()) from error

    def answer(self) -> dict[str, Any]:
        """The answer to the oldest command that was told; errors as of `ask`."""
        if self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        watch = threading.Timer(_PATIENCE_SECONDS, self._process.kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            raise RuntimeUnavailableError(self._cause_of_death())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"], EdgesmithError)
            raise kind(answer["message"])
        return answer

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.communicate()
        self._messages.close()

    def _cause_of_death(self) -> str:
        status = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        last = f": {lines[-1]}" if lines else ""
        return f"{self._network.folder}: the process that measured it ended with {how}{last}"
