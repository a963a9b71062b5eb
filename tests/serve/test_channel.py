import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgesmith.errors import DataError
from edgesmith.serve.channel import _CLAIMED, HELD, NEWEST_SLOTS, Channel, Item, new_channel


def _item(index: int, shape: tuple[int, int] = (4, 6), note: bytes = b"") -> Item:
    image = np.full((*shape, 3), index % 256, np.uint8)
    return Item(index, time.monotonic_ns(), time.time_ns(), image, note)


def _names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def _queue() -> Channel:
    return new_channel("test", 4, newest=False)


def _newest() -> Channel:
    return new_channel("test", NEWEST_SLOTS, newest=True)


@pytest.mark.parametrize("channel", [_queue(), _newest()])
def test_frame_arrives_as_it_was_put(channel: Channel) -> None:
    item = _item(7, note=b"words")
    assert channel.put(item, 0)
    taken = channel.take(0)
    assert taken is not None and (taken.image == item.image).all()
    assert taken[:3] == item[:3] and taken.note == b"words"
    channel.done()
    assert channel.take(0) is None


def test_newest_frame_replaces_those_that_wait() -> None:
    channel = _newest()
    for index in range(5):
        assert channel.put(_item(index), 0)
    assert channel.take(0).number == 4
    assert channel.dropped == 4 and channel.count == 5 and channel.last_index == 4


def test_frame_that_is_read_stays_whole_while_newer_ones_come() -> None:
    channel = _newest()
    channel.put(_item(1), 0)
    held = channel.take(0)
    for index in range(2, 9):
        channel.put(_item(index), 0)
        assert (held.image == 1).all()
    channel.done()
    assert channel.take(0).number == 8
    assert channel.dropped == 6


def test_consumer_that_looks_ahead_keeps_both_frames_whole() -> None:
    channel = _newest()
    channel.put(_item(1), 0)
    first = channel.take(0)
    channel.put(_item(2), 0)
    second = channel.take(0)
    for index in range(3, 9):
        channel.put(_item(index), 0)
        assert (first.image == 1).all() and (second.image == 2).all()
    channel.done()
    third = channel.take(0)
    for index in range(9, 15):
        channel.put(_item(index), 0)
        assert (second.image == 2).all() and (third.image == 8).all()
    assert channel.dropped == 10  # 3 to 7 and 9 to 13
    channel.done()
    channel.done()


def test_frames_that_a_killed_consumer_read_do_not_stay_taken() -> None:
    channel = _newest()
    for index in range(2):
        channel.put(_item(index), 0)
        assert channel.take(0).number == index
    replacement = Channel(channel.handle)
    for index in range(2, 6):
        assert channel.put(_item(index), 0)
        assert replacement.take(0).number == index
        replacement.done()
    assert not any(channel._words[_CLAIMED : _CLAIMED + HELD])


def test_queue_gives_two_frames_ahead_and_both_again_after_a_kill() -> None:
    channel = _queue()
    for index in range(4):
        channel.put(_item(index), 0)
    assert [channel.take(0).number for _ in range(2)] == [0, 1]
    assert not channel.put(_item(4), 0)
    channel.done()
    assert channel.put(_item(4), 0)
    replacement = Channel(channel.handle)
    assert [replacement.take(0).number for _ in range(2)] == [1, 2]


def test_queue_keeps_order_and_makes_the_producer_wait() -> None:
    channel = _queue()
    assert [channel.put(_item(index), 0) for index in range(5)] == [True] * 4 + [False]
    assert channel.take(0).number == 0
    assert not channel.put(_item(4), 0)  # taken is not done with
    channel.done()
    assert channel.put(_item(4), 0)
    indices = []
    while (item := channel.take(0)) is not None:
        indices.append(item.number)
        channel.done()
    assert indices == [1, 2, 3, 4] and channel.dropped == 0


def test_what_a_killed_consumer_had_taken_comes_again_in_a_queue() -> None:
    channel = _queue()
    channel.put(_item(0), 0)
    channel.put(_item(1), 0)
    assert channel.take(0).number == 0
    replacement = Channel(channel.handle)
    assert replacement.take(0).number == 0
    replacement.done()
    assert replacement.take(0).number == 1


def test_replaced_producer_goes_on_after_the_last_frame() -> None:
    channel = _newest()
    assert channel.last_index == -1
    channel.put(_item(41), 0)
    replacement = Channel(channel.handle)
    assert replacement.last_index == 41
    replacement.put(_item(42), 0)
    assert channel.take(0).number == 42


def test_end_comes_after_the_last_frame() -> None:
    channel = _queue()
    channel.put(_item(0), 0)
    channel.end()
    assert not channel.ended
    assert channel.take(0).number == 0
    assert not channel.ended
    channel.done()
    assert channel.ended and channel.take(0) is None


def test_waiting_consumer_is_woken() -> None:
    channel = _queue()
    threading.Timer(0.1, channel.put, (_item(3), 0)).start()
    assert channel.take(20).number == 3


def test_frame_that_does_not_fit_says_what_does() -> None:
    channel = _queue()
    with pytest.raises(DataError, match=r"5000×4000 pixels.*4096×3072.*--size"):
        channel.put(_item(0, (4000, 5000)), 0)


@pytest.mark.parametrize("newest", [False, True])
def test_frames_between_two_processes_are_never_torn(newest: bool) -> None:
    """One value in a whole frame: two halves of different frames would show two."""
    channel = new_channel("test", NEWEST_SLOTS if newest else 4, newest)
    count = 400
    producer = os.fork()
    if producer == 0:
        mine = Channel(channel.handle)
        for index in range(count):
            while not mine.put(_item(index, (120, 160)), 1):
                pass
        mine.end()
        os._exit(0)
    seen = []
    while not channel.ended:
        item = channel.take(1)
        if item is not None:
            assert item.image.min() == item.image.max() == item.number % 256
            seen.append(item.number)
            channel.done()
    os.waitpid(producer, 0)
    assert seen == sorted(set(seen)) and seen[-1] == count - 1
    assert len(seen) + channel.dropped == count
    assert newest or channel.dropped == 0


def test_lock_of_a_process_that_died_is_free() -> None:
    channel = _newest()
    holder = os.fork()
    if holder == 0:
        Channel(channel.handle)._region.lock(1)
        os._exit(0)
    os.waitpid(holder, 0)
    assert channel.put(_item(0), 0)


def test_memory_has_no_name_and_goes_with_its_descriptor() -> None:
    before = _names("/dev/shm")
    channel = _newest()
    channel.put(_item(0), 0)
    assert _names("/dev/shm") == before
    descriptors = len(_names("/proc/self/fd"))
    channel.close()
    assert len(_names("/proc/self/fd")) == descriptors - 3
