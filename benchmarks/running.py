"""`edgesmith serve` as a process, for measurements of the loop as a whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import psutil

PARTS = ("capture", "inference", "sink")
_PATIENCE_SECONDS = 120.0


class Line(NamedTuple):
    """A line of the log and when it came, monotonic seconds."""

    at_s: float
    words: str


class Running:
    """A session that writes a line per frame to `jsonl`; a context manager."""

    def __init__(self, artifact: Path, jsonl: Path, options: Sequence[str]) -> None:
        """Start the session."""
        self.log: list[Line] = []
        self._jsonl = jsonl
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "edgesmith", "serve", str(artifact)),
                *("--jsonl", str(jsonl), "--json"),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()

    def written(self) -> int:
        """Bytes of JSON lines so far: they grow with every frame."""
        return self._jsonl.stat().st_size if self._jsonl.is_file() else 0

    def wait_for_growth(self, since_bytes: int) -> float:
        """When there was more than so many bytes, monotonic seconds."""
        self._wait(lambda: self.written() > since_bytes)
        return time.monotonic()

    def wait_for_words(self, words: str, after_s: float) -> float:
        """When the log said so, not before `after_s`; monotonic seconds."""
        self._wait(lambda: self._said(words, after_s) is not None)
        found = self._said(words, after_s)
        assert found is not None  # noqa: S101 (waited for)
        return found

    def part(self, name: str) -> psutil.Process:
        """The process that runs this part now."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if child.cmdline()[-1] == name)

    def stop(self) -> dict[str, Any]:
        """End in order; the summary."""
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=_PATIENCE_SECONDS)[0]
        found: dict[str, Any] = json.loads(output)
        return found

    def _said(self, words: str, after_s: float) -> float | None:
        return next(
            (line.at_s for line in self.log if line.at_s >= after_s and words in line.words), None
        )

    def _wait(self, true: Any) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while not true():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("\n".join(line.words for line in self.log))
            time.sleep(0.002)

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.log.append(Line(time.monotonic(), line.rstrip()))
