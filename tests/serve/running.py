"""`edgesmith serve` as a real process with its parts, for tests to hurt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import psutil

PATIENCE_SECONDS = 30.0


class Running:
    """A session whose frames go to a file of JSON lines; a context manager."""

    def __init__(
        self, artifact: Path, folder: Path, *options: str, environment: Mapping[str, str] = {}
    ) -> None:
        self.jsonl = folder / "seen.jsonl"
        self.words: list[str] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "edgesmith", "serve", str(artifact)),
                *("--jsonl", str(self.jsonl), "--json"),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self._reader = threading.Thread(target=self._read)
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
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def indices(self) -> list[int]:
        """Frames that the outputs had, in their order."""
        return [line["frame"]["index"] for line in self._lines() if "frame" in line]

    def states(self) -> list[str]:
        return [line["status"]["state"] for line in self._lines() if "status" in line]

    def artifacts(self) -> set[str]:
        return {line["frame"]["artifact"] for line in self._lines() if "frame" in line}

    def wait_for_frames(self, more: int) -> None:
        """Until so many more than now had been written."""
        enough = len(self.indices()) + more
        wait_until(lambda: len(self.indices()) >= enough, self._tell)

    def wait_for_words(self, words: str) -> None:
        """Until the log says something."""
        wait_until(lambda: any(words in line for line in self.words), self._tell)

    def part(self, name: str) -> psutil.Process:
        """The process that runs this part now."""
        found = [child for child in self.parts() if child.cmdline()[-1] == name]
        assert len(found) == 1, (name, found, self._tell())
        return found[0]

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self) -> dict[str, object]:
        """End in order; the summary."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self, status: int = 0) -> dict[str, object]:
        """Wait for the end; the summary."""
        output = self.process.stdout.read()
        assert self.process.wait(PATIENCE_SECONDS) == status, self._tell()
        return json.loads(output) if output else {}

    def _lines(self) -> list[dict[str, dict[str, object]]]:
        if not self.jsonl.is_file():
            return []
        text = self.jsonl.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def _read(self) -> None:
        for line in self.process.stderr:
            self.words.append(line.rstrip())

    def _tell(self) -> str:
        return "\n".join(self.words)


def wait_until(true: Callable[[], bool], tell: Callable[[], str] = lambda: "") -> None:
    """Until it is so; fails after a long while."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, tell()
        time.sleep(0.02)
