"""What the loop's processes know of one another: promises, counters, faults, orders.

Every word has one writer, so there is no lock, and a process that is stopped or killed at any
instruction holds up nobody.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, NamedTuple

from edgesmith.serve.memory import Region, new_region
from edgesmith.serve.result import State

Part = Literal["capture", "inference", "sink"]
PARTS: tuple[Part, ...] = ("capture", "inference", "sink")

_PART_WORDS = 8
# Words of a part.
_DEADLINE, _FINISHED, _ATTEMPTS, _LOST, _READY, _HEARD = range(6)
# Words after those of the parts.
_DETECTED, _STOP, _NOTE_VERSION, _NOTE_SIZE, _NOTE_SUM, _LAST_TRACK, _PACE, _BEGAN, _ENDED = range(
    24, 33
)
_HEADER_BYTES = 512
_ORDERS_BYTES = 16 * 1024
_FAULT_BYTES = 4096
_TALLY_START = _HEADER_BYTES + _ORDERS_BYTES + len(PARTS) * _FAULT_BYTES


@dataclass(frozen=True)
class Orders:
    """What the supervisor says to all.

    Attributes:
        state: What the loop does.
        artifact: Folder of the artifact to run.
        skip: Factor by which the model runs more seldom than asked, 1 or more.
        pause: Run nothing: the machine cools.
        step: The governor's step in words; empty at full speed.
        restarts: Times that a part was replaced, by part.
        temperature_c: Hottest zone; None without a sensor.
    """

    state: State
    artifact: str
    skip: float = 1.0
    pause: bool = False
    step: str = ""
    restarts: Mapping[str, int] = field(default_factory=dict)
    temperature_c: float | None = None


class Handle(NamedTuple):
    """What a process inherits to open the board."""

    region: int
    tally_bytes: int


class Board:
    """The shared words; each process writes its own."""

    def __init__(self, handle: Handle) -> None:
        """Open the board that `handle` stands for."""
        self.handle = handle
        self._region = Region(handle.region, _TALLY_START + handle.tally_bytes)
        self._words = self._region.words
        self._orders: tuple[int, Orders | None] = (0, None)

    def promise(self, part: Part, seconds: float) -> None:
        """The part will be heard of again within `seconds`; later it counts as hung."""
        now = time.monotonic_ns()
        self._words[_at(part, _HEARD)] = now
        self._words[_at(part, _DEADLINE)] = now + int(1e9 * seconds)

    def overdue_s(self, part: Part) -> float:
        """Seconds since the part should have been heard of; negative before."""
        return (time.monotonic_ns() - self._words[_at(part, _DEADLINE)]) / 1e9

    def quiet_s(self, part: Part) -> float:
        """Seconds since the part was heard of."""
        return (time.monotonic_ns() - self._words[_at(part, _HEARD)]) / 1e9

    def finish(self, part: Part) -> None:
        """The part is done with one more frame."""
        self._words[_at(part, _FINISHED)] += 1
        if part == "sink":
            self._words[_ENDED] = time.monotonic_ns()
            self._words[_BEGAN] = self._words[_BEGAN] or self._words[_ENDED]

    @property
    def fps(self) -> float:
        """Frames through the outputs per second, from the first to the last; 0 of fewer than two.

        Loading is before the first frame; a time without frames, cooling or looking for a source,
        counts.
        """
        seconds = (self._words[_ENDED] - self._words[_BEGAN]) / 1e9
        return (self.finished("sink") - 1) / seconds if seconds > 0 else 0.0

    @property
    def pace_fps(self) -> float | None:
        """The source's own pace; None where it has none or is not open yet."""
        return self._words[_PACE] / 1e6 or None

    @pace_fps.setter
    def pace_fps(self, fps: float | None) -> None:
        self._words[_PACE] = round(1e6 * (fps or 0))

    def finished(self, part: Part) -> int:
        """Frames that the part was done with, over all its processes."""
        return self._words[_at(part, _FINISHED)]

    def ready(self, part: Part, process: int) -> None:
        """The part's process `process` has started up: source open, network loaded."""
        self._words[_at(part, _READY)] = process

    def is_ready(self, part: Part, process: int) -> bool:
        """Whether this process of the part has started up."""
        return self._words[_at(part, _READY)] == process

    def was_ready(self, part: Part) -> bool:
        """Whether any process of the part has started up."""
        return self._words[_at(part, _READY)] != 0

    def lost(self, is_lost: bool) -> None:
        """Capture says whether its source is gone and looked for."""
        self._words[_at("capture", _LOST)] = int(is_lost)
        self._words[_at("capture", _ATTEMPTS)] += int(is_lost)

    @property
    def is_lost(self) -> bool:
        """Whether the source is gone and looked for."""
        return bool(self._words[_at("capture", _LOST)])

    @property
    def attempts(self) -> int:
        """Times that the source was found gone or looked for in vain."""
        return self._words[_at("capture", _ATTEMPTS)]

    def count_detected(self) -> None:
        """Inference ran the model on one more frame."""
        self._words[_DETECTED] += 1

    @property
    def detected(self) -> int:
        """Frames that the model ran on."""
        return self._words[_DETECTED]

    @property
    def last_track(self) -> int:
        """The highest number that a track got, so that a replaced tracker goes on from there."""
        return self._words[_LAST_TRACK]

    @last_track.setter
    def last_track(self, number: int) -> None:
        self._words[_LAST_TRACK] = number

    def stop(self) -> None:
        """Ask all to finish what they have and end."""
        self._words[_STOP] = 1

    @property
    def stopping(self) -> bool:
        """Whether all were asked to end."""
        return bool(self._words[_STOP])

    def order(self, orders: Orders) -> None:
        """Publish orders; the supervisor's alone."""
        content = json.dumps(asdict(orders)).encode()
        version = self._words[_NOTE_VERSION] // 2 * 2
        self._words[_NOTE_VERSION] = version + 1
        self._region.bytes[_HEADER_BYTES : _HEADER_BYTES + len(content)] = content
        self._words[_NOTE_SIZE] = len(content)
        self._words[_NOTE_SUM] = zlib.crc32(content)
        self._words[_NOTE_VERSION] = version + 2

    def orders(self) -> Orders | None:
        """The latest orders that were read whole; None before the first."""
        version = self._words[_NOTE_VERSION]
        if version != self._orders[0] and version % 2 == 0:
            size = self._words[_NOTE_SIZE]
            content = bytes(self._region.bytes[_HEADER_BYTES : _HEADER_BYTES + size])
            # The sum catches what another core's order of writes would let through.
            if zlib.crc32(content) == self._words[_NOTE_SUM] and content:
                self._orders = (version, Orders(**json.loads(content)))
        return self._orders[1]

    def blame(self, part: Part, fault: str) -> None:
        """The part's last words: why it cannot go on."""
        content = fault.encode()[: _FAULT_BYTES - 8]
        start = _fault(part)
        self._region.bytes[start + 8 : start + 8 + len(content)] = content
        self._region.words[start // 8] = len(content)

    def fault(self, part: Part) -> str:
        """The part's last words, empty if none; they are then forgotten."""
        start = _fault(part)
        size, self._region.words[start // 8] = self._region.words[start // 8], 0
        return bytes(self._region.bytes[start + 8 : start + 8 + size]).decode(errors="replace")

    def tally_words(self) -> memoryview:
        """Where latencies are counted; the sink's alone."""
        return self._region.words[_TALLY_START // 8 :]

    def close(self) -> None:
        """Give the descriptor back; what is mapped stays readable."""
        self._region.close()


def new_board(tally_bytes: int) -> Board:
    """A board of zeros."""
    size = _TALLY_START + tally_bytes
    return Board(Handle(new_region("board", size).descriptor, tally_bytes))


def _at(part: Part, word: int) -> int:
    return PARTS.index(part) * _PART_WORDS + word


def _fault(part: Part) -> int:
    return _HEADER_BYTES + _ORDERS_BYTES + PARTS.index(part) * _FAULT_BYTES
