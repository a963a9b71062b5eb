"""`dvc repro` with several stages at a time.

usage: python scripts/repro.py [JOBS]

Most stages keep one core busy. Here those that do not need each other run side by side, JOBS at a
time (as many as the machine has cores for `build_threads`). Stages that measure time come after
them, one by one: they want the machine for themselves. Each stage is checked, run and recorded by
DVC's own code under DVC's own locks, as a fork of a process that has the libraries imported
(forked.py). A plain `dvc repro` before, after or instead gives the same.

dvc.lock is written for many stages at once, because parsing a long one takes seconds. What ended in
the last minute before a kill is not in it: DVC takes that from its cache of runs, or runs it again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path

import networkx as nx
import yaml
from dvc.dvcfile import ProjectFile
from dvc.repo import Repo
from dvc.stage import PipelineStage
from forked import install

LOGS = Path("tmp/repro")
# Not run beside others.
_ALONE = "stages.benchmark"
_RECORD_SECONDS = 60
_FAILED_LINES = 30


def main() -> int:
    """Bring all stages up to date; 1 when one fails."""
    threads = int(yaml.safe_load(Path("params.yaml").read_text())["build_threads"])
    default = max(1, (os.cpu_count() or 1) // threads)
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else default
    with Repo() as repo:
        graph = _graph(repo)
        stale = _stale(repo) & set(graph)
    # What comes after a stale stage is looked at too: its inputs may change.
    todo = stale.union(*(nx.ancestors(graph, name) for name in stale))
    if len(todo) < 2:
        return 0
    signal.signal(signal.SIGINT, _interrupt)
    try:
        return _run(graph.subgraph(todo).copy(), jobs)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130


_interrupted = threading.Event()


def _interrupt(*_: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _graph(repo: Repo) -> nx.DiGraph:
    """Names of stages with their commands; an edge leads from a stage to one that it needs.

    Those of the root's dvc.yaml and what they need: other devices and toolchains are elsewhere.
    """
    graph = nx.DiGraph()
    for stage in repo.index.graph:
        graph.add_node(stage.addressing, cmd=stage.cmd or "")
    for stage, needed in repo.index.graph.edges:
        graph.add_edge(stage.addressing, needed.addressing)
    own = [name for name in graph if ":" not in name]
    return graph.subgraph(set(own).union(*(nx.descendants(graph, name) for name in own)))


def _stale(repo: Repo) -> set[str]:
    return set(repo.status())


def _run(waiting: nx.DiGraph, jobs: int) -> int:
    """Run the stages of `waiting`, those first that most others wait for."""
    LOGS.mkdir(parents=True, exist_ok=True)
    total, done = len(waiting), 0
    weight = {name: len(nx.ancestors(waiting, name)) for name in waiting}
    alone = {name for name, data in waiting.nodes(data=True) if _ALONE in data["cmd"]}
    running: dict[Future[float], str] = {}
    install()
    # A process each that lives on: opening the repository takes seconds.
    with ProcessPoolExecutor(jobs, get_context("fork"), _open) as pool:
        while len(waiting):
            ready = [n for n in waiting if not waiting.out_degree(n) and n not in running.values()]
            ready.sort(key=lambda name: (-weight[name], name))
            beside = [name for name in ready if name not in alone]
            if beside and alone.isdisjoint(running.values()):
                chosen = beside[: jobs - len(running)]
            else:
                chosen = [] if running else ready[:1]
            for name in chosen:
                running[pool.submit(_reproduce, name)] = name
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                name = running.pop(future)
                try:
                    seconds = future.result()
                except Exception as error:
                    if _interrupted.is_set():  # which ended the stage too
                        raise KeyboardInterrupt from None
                    _report(name, error)
                    pool.shutdown(cancel_futures=True)
                    return 1
                waiting.remove_node(name)
                done += 1
                state = f"{seconds:.0f} s" if seconds else "is up to date"
                print(f"[{done}/{total}] {name} {state}", flush=True)
    return 0


def _report(name: str, error: Exception) -> None:
    print(f"{name} failed: {error}", file=sys.stderr)
    log = _log(name)
    if log.exists():
        lines = log.read_text(errors="replace").splitlines()[-_FAILED_LINES:]
        print("\n".join([*lines, f"(whole output: {log})"]), file=sys.stderr)


def _log(name: str) -> Path:
    return LOGS / f"{name.replace('/', '.').replace(':', '.')}.log"


class _Worker:
    """A process of the pool: its repository, and the stages that it ran but has not recorded."""

    def __init__(self) -> None:
        self.repo = Repo(_wait_for_lock=True)
        self.stages = {stage.addressing: stage for stage in self.repo.index.stages}
        self._unrecorded: dict[ProjectFile, list[PipelineStage]] = defaultdict(list)
        self._since = time.monotonic()

    def reproduce(self, name: str) -> bool:
        stage = self.stages[name]
        with self.repo.lock:
            ran = stage.reproduce() is not None
            if ran:
                self._unrecorded[stage.dvcfile].append(stage)
            if time.monotonic() - self._since > _RECORD_SECONDS:
                self._write()
        return ran

    def record(self) -> None:
        with self.repo.lock:
            self._write()

    def _write(self) -> None:
        for file, stages in self._unrecorded.items():
            file.dump_stages(stages, update_pipeline=False)
        self._unrecorded.clear()
        self._since = time.monotonic()


_worker: _Worker | None = None


def _open() -> None:
    global _worker  # noqa: PLW0603 - each process of the pool has its own
    _worker = _Worker()
    # Ctrl-C is for the stage, with a handler of its own, and for the process that hands out work.
    signal.signal(signal.SIGINT, lambda *_: None)
    # Also when a stage failed, or at Ctrl-C.
    Finalize(None, _worker.record, exitpriority=1)


def _reproduce(name: str) -> float:
    """Seconds that the stage took; 0 when nothing had changed."""
    assert _worker is not None  # noqa: S101 - the pool opens it
    start = time.monotonic()
    with _log(name).open("w") as log, _output_to(log.fileno()):
        ran = _worker.reproduce(name)
    return time.monotonic() - start if ran else 0.0


@contextlib.contextmanager
def _output_to(target: int):
    """Send what this process and its children print to the file `target`."""
    kept = [os.dup(1), os.dup(2)]
    try:
        for stream in (1, 2):
            os.dup2(target, stream)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, old in zip((1, 2), kept, strict=True):
            os.dup2(old, stream)
            os.close(old)


if __name__ == "__main__":
    sys.exit(main())
