"""`dvc repro` with several stages at a time; what it leaves to do, `dvc repro` does afterwards.

usage: python scripts/repro.py [JOBS]

Most stages keep one core busy. Here those that do not need each other run side by side, JOBS at a
time (as many as the machine has cores for `build_threads`). Stages that measure time are left out:
they want the machine for themselves, and so does everything that reads their figures. Each stage is
checked, run and recorded by DVC's own code under DVC's own locks, as a fork of a process that has
the libraries imported (forked.py). A plain `dvc repro` before, after or instead gives the same.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

import networkx as nx
import yaml
from dvc.repo import Repo
from forked import install

LOGS = Path("tmp/repro")
# Not run beside others, and with them whatever depends on them.
_ALONE = "stages.benchmark"
_FAILED_LINES = 30


def main() -> int:
    """Bring all stages up to date that need no quiet machine; 1 when one fails."""
    threads = int(yaml.safe_load(Path("params.yaml").read_text())["build_threads"])
    default = max(1, (os.cpu_count() or 1) // threads)
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else default
    with Repo() as repo:
        graph, stale = _graph(repo), _stale(repo)
    alone = {name for name, data in graph.nodes(data=True) if _ALONE in data["cmd"]}
    left_out = alone.union(*(nx.ancestors(graph, name) for name in alone))
    # What comes after a stale stage is looked at too: its inputs may change.
    todo = stale.union(*(nx.ancestors(graph, name) for name in stale)) - left_out
    if len(todo) < 2:
        return 0
    try:
        return _run(graph.subgraph(todo).copy(), jobs)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130


def _graph(repo: Repo) -> nx.DiGraph:
    """Names of all stages with their commands; an edge leads from a stage to one that it needs."""
    graph = nx.DiGraph()
    for stage in repo.index.graph:
        graph.add_node(stage.addressing, cmd=stage.cmd or "")
    for stage, needed in repo.index.graph.edges:
        graph.add_edge(stage.addressing, needed.addressing)
    return graph


def _stale(repo: Repo) -> set[str]:
    return set(repo.status())


def _run(waiting: nx.DiGraph, jobs: int) -> int:
    """Run the stages of `waiting`, those first that most others wait for."""
    LOGS.mkdir(parents=True, exist_ok=True)
    total, done = len(waiting), 0
    weight = {name: len(nx.ancestors(waiting, name)) for name in waiting}
    running: dict[Future[float], str] = {}
    install()
    # A process each that lives on: opening the repository takes seconds.
    with ProcessPoolExecutor(jobs, get_context("fork"), _open) as pool:
        while len(waiting):
            ready = [n for n in waiting if not waiting.out_degree(n) and n not in running.values()]
            ready.sort(key=lambda name: (-weight[name], name))
            for name in ready[: jobs - len(running)]:
                running[pool.submit(_reproduce, name)] = name
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                name = running.pop(future)
                try:
                    seconds = future.result()
                except Exception as error:
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


_repo: Repo | None = None
_stages: dict[str, object] = {}


def _open() -> None:
    global _repo  # noqa: PLW0603 - a worker's own
    _repo = Repo(_wait_for_lock=True)
    _stages.update({stage.addressing: stage for stage in _repo.index.stages})


def _reproduce(name: str) -> float:
    """Seconds that the stage took; 0 when nothing had changed."""
    assert _repo is not None  # noqa: S101 - the pool opens it
    stage = _stages[name]
    start = time.monotonic()
    with _log(name).open("w") as log, _output_to(log.fileno()), _repo.lock:
        ran = stage.reproduce()
        if ran:
            stage.dump(update_pipeline=False)
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
