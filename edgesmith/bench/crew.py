"""One worker process per network, started anew for each round of an interleaved run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from edgesmith.bench.early_stopping import fewest_runs
from edgesmith.bench.process import Loadable, Process, Settings

# The first runs of a turn find the caches full of the other process's data, and its threads spin
# for about 30 ms after its last run.
_SETTLE_SECONDS = 0.05
# Turns of each network in a round.
_TURNS = 2


class Crew:
    """The processes of a run and what they say of themselves; a context manager.

    `loaded`, `warm` and `rss_mb` hold one entry per process, by network.
    """

    def __init__(
        self, networks: Sequence[Loadable], settings: Settings, frame: bytes, of_all: bool
    ) -> None:
        """No process runs before `ready`; `of_all`: the end-to-end figure too."""
        self._networks = networks
        self._settings = settings
        self._frame = frame
        self._of_all = of_all
        self.processes: list[Process] = []
        self.loaded: list[list[dict[str, Any]]] = [[] for _ in networks]
        self.warm: list[list[dict[str, Any]]] = [[] for _ in networks]
        self.rss_mb: list[list[float]] = [[] for _ in networks]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def ready(self) -> None:
        """Processes that are loaded and warm: new ones, or the same where `fresh` is false."""
        if self.processes and not self._settings.fresh:
            return
        self.finish()
        # All begin at once: Python takes longer to start than most networks take to load.
        for network in self._networks:
            self.processes.append(Process(network, self._settings, self._frame))
        for answers, process in zip(self.loaded, self.processes, strict=True):
            answers.append(process.load())
        seconds = self._settings.max_warmup_seconds
        for answers, process in zip(self.warm, self.processes, strict=True):
            answers.append(process.ask(do="warm_up", max_seconds=seconds))

    def turns(self, number: int) -> list[list[float]]:
        """Samples of round `number` by network, then those of the end-to-end figure.

        The turns are A B B A, and B A A B in the next round: what ran just before is worth
        something, and each has either before it equally often.
        """
        order = list(range(len(self._networks)))
        if number % 2:
            order.reverse()
        taken: list[list[float]] = [[] for _ in order]
        for network in [*order, *reversed(order)]:
            taken[network] += self._infer(network)
        whole: list[list[float]] = [[] for _ in order]
        for network in order:
            timed = "end_to_end" in self.processes[network].loaded["calls"]
            if timed and (network == 0 or self._of_all):
                whole[network] = self._end_to_end(network)
        return [*taken, *whole]

    def finish(self) -> None:
        """End the processes that run; their peak memory is on record then."""
        for found, process in zip(self.rss_mb, self.processes, strict=False):
            found.append(float(process.ask(do="finish")["rss_mb"]))
        self._close()

    def _close(self) -> None:
        for process in self.processes:
            process.close()
        self.processes = []

    def _infer(self, network: int) -> list[float]:
        runs = math.ceil(self._settings.runs_per_round / _TURNS)
        limit = self._settings.max_seconds / self._settings.rounds / _TURNS
        seconds = self._settings.min_seconds / _TURNS
        return sample(self.processes[network], "infer", runs, seconds, _SETTLE_SECONDS, limit)

    def _end_to_end(self, network: int) -> list[float]:
        """As many runs as the percentile needs, over all rounds."""
        runs = math.ceil(fewest_runs(self._settings.percentile) / self._settings.rounds)
        limit = self._settings.max_seconds / self._settings.rounds
        return sample(self.processes[network], "end_to_end", runs, 0.0, _SETTLE_SECONDS, limit)


def middle(answers: Sequence[dict[str, Any]], *keys: str) -> dict[str, Any]:
    """What the first process of a network said, with the median over all of these keys."""
    return answers[0] | {
        key: statistics.median_low([answer[key] for answer in answers]) for key in keys
    }


def sample(
    process: Process, what: str, runs: int, seconds: float, settle: float, limit: float
) -> list[float]:
    """Milliseconds of the runs of one turn, see `timing.sample`."""
    answer = process.ask(
        do="sample",
        what=what,
        min_runs=runs,
        min_seconds=seconds,
        settle_seconds=settle,
        max_seconds=min(limit, 1e9),
    )
    return [float(value) for value in answer["samples_ms"]]
