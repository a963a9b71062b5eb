from pathlib import Path
from typing import Any

import pytest

from edgesmith.bench.measure import measure_networks
from edgesmith.bench.process import Loadable, Process, Settings
from edgesmith.bench.turns import Turns, take_turns

QUICK = Settings(rounds=2, min_runs=2, min_seconds=0.0, max_warmup_seconds=0.05)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What each worker is told to do, in order: the name of its network, the command."""
    found: list[tuple[str, str]] = []
    tell = Process.tell

    def note(self: Process, **command: Any) -> None:
        found.append((self._network.folder.name, command["do"]))
        tell(self, **command)

    monkeypatch.setattr(Process, "tell", note)
    return found


def _take(tmp_path: Path, settings: Settings, names: str = "ab") -> Turns:
    networks = [Loadable(tmp_path / name, by="tests.bench.subject") for name in names]
    return take_turns(networks, settings)


def test_each_network_runs_equally_often_after_either(
    tmp_path: Path, told: list[tuple[str, str]]
) -> None:
    _take(tmp_path, QUICK)
    assert "".join(name for name, what in told if what == "sample") == "abbabaab"


def test_every_round_has_processes_of_its_own(tmp_path: Path, told: list[tuple[str, str]]) -> None:
    taken = _take(tmp_path, QUICK)
    assert [name for name, what in told if what == "load"] == ["a", "b", "a", "b"]
    assert [len(rounds) for rounds in taken.samples_ms] == [2, 2]


def test_processes_that_take_long_to_load_stay(tmp_path: Path, told: list[tuple[str, str]]) -> None:
    _take(tmp_path, QUICK._replace(fresh=False))
    assert [name for name, what in told if what == "load"] == ["a", "b"]


def test_networks_of_all_rounds_are_described_by_their_middle(artifact: Path) -> None:
    taken = take_turns([Loadable(artifact)], QUICK)
    assert taken.loaded[0]["load_ms"] > 0 and taken.rss_mb[0] > 10
    (bench,) = measure_networks([Loadable(artifact)], 0, QUICK, device="x", fingerprint="0" * 12)
    assert bench.rounds == 2 and bench.warmup_runs >= 1
