"""Frames from one process to the next: the newest alone, or every one in its order.

Both sides may be killed and replaced at any moment. What was put and not taken stays; what is being
written is not seen before it is whole; what is being read is not overwritten.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgesmith.errors import DataError
from edgesmith.serve.memory import Region, Signal, new_region, new_signal

if TYPE_CHECKING:  # brings OpenCV, which the supervisor has no use for
    from edgesmith.preprocess import UInt8Array

# The largest image that fits, 4096 × 3072 in colour. Pages that no image reaches take no memory.
PIXELS_BYTES = 4096 * 3072 * 3
NOTE_BYTES = 256 * 1024
_HEADER_WORDS = 64
_SLOT_WORDS = 8
_SLOT_BYTES = 8 * _SLOT_WORDS + NOTE_BYTES + PIXELS_BYTES

# Words of the region's header. `PUT` and `TAKEN` count frames from 1.
_PUT, _TAKEN, _LATEST, _DROPPED, _ENDED, _LAST_INDEX, _CLAIMED = range(7)
# A consumer may look ahead: one frame under way and the next.
HELD = 2
# Of the newest alone: read, read next, latest, being written.
NEWEST_SLOTS = HELD + 2
# Words of a slot: its number, index in the source, monotonic and wall clock (ns), sizes.
_NUMBER, _INDEX, _CAPTURED, _EPOCH, _ROWS, _COLUMNS, _NOTE = range(7)


class Item(NamedTuple):
    """One frame on its way, by its number in the source.

    `captured_ns` is monotonic, for intervals; `epoch_ns` the wall clock, for records. `image` is
    (H, W, 3) uint8 BGR; of a taken item it lies in the channel until `done`.
    """

    number: int
    captured_ns: int
    epoch_ns: int
    image: UInt8Array
    note: bytes = b""


class Handle(NamedTuple):
    """What a process inherits to open a channel: descriptors, slots, and its kind."""

    region: int
    filled: int
    freed: int
    slots: int
    newest: bool


class Channel:
    """From one producer to one consumer; `put` and `take` wait `seconds` at most."""

    def __init__(self, handle: Handle) -> None:
        """Open the channel that `handle` stands for."""
        self.handle = handle
        size = 8 * _HEADER_WORDS + handle.slots * _SLOT_BYTES
        self._region = Region(handle.region, size)
        self._words = self._region.words
        self._filled = Signal(handle.filled)
        self._freed = Signal(handle.freed)
        # Words of `_CLAIMED` that say which slots are read here, oldest first.
        self._held: deque[int] = deque()

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before they were taken."""
        return self._words[_DROPPED]

    @property
    def count(self) -> int:
        """Frames put so far."""
        return self._words[_PUT]

    @property
    def last_index(self) -> int:
        """Index of the last frame put; -1 before the first."""
        return self._words[_LAST_INDEX] - 1

    @property
    def ended(self) -> bool:
        """Whether no further frame will come and all were done with."""
        return bool(self._words[_ENDED]) and self._words[_TAKEN] >= self._words[_PUT]

    def end(self) -> None:
        """No further frame will come."""
        self._words[_ENDED] = 1
        self._filled.give()

    def put(self, item: Item, seconds: float) -> bool:
        """Hand a frame over; False if there was no room in time. Never waits where newest counts.

        Raises DataError for an image larger than a slot.
        """
        slot = self._room(seconds)
        if slot is None:
            return False
        self._write(slot, self._words[_PUT] + 1, item)
        if not self._region.lock(seconds):
            return False
        try:
            put, taken = self._words[_PUT], self._words[_TAKEN]
            if self.handle.newest and put > taken:
                self._words[_DROPPED] += 1
            self._words[_LATEST] = slot
            self._words[_LAST_INDEX] = item.number + 1
            self._words[_PUT] = put + 1
        finally:
            self._region.unlock()
        self._filled.give()
        return True

    def take(self, seconds: float) -> Item | None:
        """The newest, or the next, frame; None if there was none in time. `done` ends its use.

        `HELD` frames may be taken before the first is done with. Those that a killed process took
        and was not done with come again where every one counts.
        """
        if self._words[_PUT] <= self._seen():
            if self._words[_ENDED]:
                return None
            self._filled.wait(seconds)
        if not self._region.lock(seconds):
            return None
        try:
            put, seen = self._words[_PUT], self._seen()
            if put <= seen:
                return None
            if self.handle.newest:
                slot = self._words[_LATEST]
                self._words[_TAKEN] = put
            else:
                slot = (seen + 1) % self.handle.slots
            self._claim(slot)
        finally:
            self._region.unlock()
        return self._read(slot)

    def done(self) -> None:
        """The frame that was taken first is finished: its place may be used again."""
        claim = self._held.popleft()
        if self.handle.newest:
            self._words[claim] = 0
        else:
            # Only the consumer changes it; the signal's system call orders it after the reading.
            self._words[_TAKEN] += 1
        self._freed.give()

    def close(self) -> None:
        """Give the descriptors back."""
        self._region.close()
        os.close(self.handle.filled)
        os.close(self.handle.freed)

    def _seen(self) -> int:
        """Number of the last frame that was taken here or done with."""
        taken = self._words[_TAKEN]
        return int(taken if self.handle.newest else taken + len(self._held))

    def _claim(self, slot: int) -> None:
        """Say that the slot is read here; what a killed process said is forgotten.

        Each claim has a word of its own, so that the producer misses none while another changes.
        """
        free = [word for word in range(_CLAIMED, _CLAIMED + HELD) if word not in self._held]
        for word in free[1:]:
            self._words[word] = 0
        self._words[free[0]] = slot + 1
        self._held.append(free[0])

    def _room(self, seconds: float) -> int | None:
        """A slot that nobody reads, None if there was none in time."""
        if self.handle.newest:
            if not self._region.lock(seconds):
                return None
            try:
                claimed = {self._words[_CLAIMED + place] - 1 for place in range(HELD)}
                busy = {self._words[_LATEST]} | claimed
            finally:
                self._region.unlock()
            return next(slot for slot in range(self.handle.slots) if slot not in busy)
        end = time.monotonic() + seconds
        while self._words[_PUT] - self._words[_TAKEN] >= self.handle.slots:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._freed.wait(left)
        return int((self._words[_PUT] + 1) % self.handle.slots)

    def _write(self, slot: int, number: int, item: Item) -> None:
        image = np.ascontiguousarray(item.image)
        if image.nbytes > PIXELS_BYTES or len(item.note) > NOTE_BYTES:
            rows, columns = image.shape[:2]
            raise DataError(
                f"a frame of {columns}×{rows} pixels with {len(item.note)} bytes of results; the "
                "loop takes 4096×3072 and 262144: choose a smaller --size"
            )
        words, note, pixels = self._slot(slot)
        words[_NUMBER], words[_INDEX] = number, item.number
        words[_CAPTURED], words[_EPOCH] = item.captured_ns, item.epoch_ns
        words[_ROWS], words[_COLUMNS] = image.shape[:2]
        words[_NOTE] = len(item.note)
        note[: len(item.note)] = item.note
        np.frombuffer(pixels, np.uint8, image.size).reshape(image.shape)[:] = image

    def _read(self, slot: int) -> Item:
        words, note, pixels = self._slot(slot)
        shape = (words[_ROWS], words[_COLUMNS], 3)
        image = np.frombuffer(pixels, np.uint8, shape[0] * shape[1] * 3).reshape(shape)
        return Item(
            number=words[_INDEX],
            captured_ns=words[_CAPTURED],
            epoch_ns=words[_EPOCH],
            image=image,
            note=bytes(note[: words[_NOTE]]),
        )

    def _slot(self, slot: int) -> tuple[Any, memoryview, memoryview]:
        start = 8 * _HEADER_WORDS + slot * _SLOT_BYTES
        words = self._region.bytes[start : start + 8 * _SLOT_WORDS].cast("q")
        note = start + 8 * _SLOT_WORDS
        pixels = note + NOTE_BYTES
        return words, self._region.bytes[note:pixels], self._region.bytes[pixels:][:PIXELS_BYTES]


def new_channel(name: str, slots: int, newest: bool) -> Channel:
    """An empty channel; one of the newest alone needs `NEWEST_SLOTS`."""
    size = 8 * _HEADER_WORDS + slots * _SLOT_BYTES
    region = new_region(name, size)
    return Channel(
        Handle(
            region=region.descriptor,
            filled=new_signal().descriptor,
            freed=new_signal().descriptor,
            slots=slots,
            newest=newest,
        )
    )
