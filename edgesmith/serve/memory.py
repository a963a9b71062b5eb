"""Memory that the loop's processes share, and signals between them, without a name.

A region is an anonymous file (memfd) that parts inherit: when the last process is gone so is the
memory, and no kill can leave anything in /dev/shm. Linux alone.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import time

from edgesmith.errors import RuntimeUnavailableError

# How long one waits for a lock before looking again: it is held for microseconds.
_LOCK_STEP_SECONDS = 0.0005


class Region:
    """`size` bytes; `words` is the same memory as signed 64-bit integers.

    A page that nobody wrote to takes no memory. A word is written in one piece (aligned).
    """

    def __init__(self, descriptor: int, size: int) -> None:
        """Map the region that `descriptor` stands for."""
        self.descriptor = descriptor
        self.size = size
        self.bytes = memoryview(mmap.mmap(descriptor, size))
        self.words = self.bytes[: size // 8 * 8].cast("q")

    def lock(self, seconds: float) -> bool:
        """Take the lock that all processes of this region share; False if not had in time.

        The kernel takes it back from a process that dies, and orders memory between owners. Threads
        of one process are not kept apart.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= end:
                    return False
                time.sleep(_LOCK_STEP_SECONDS)
            else:
                return True

    def unlock(self) -> None:
        """Give the lock back."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the descriptor back; the mapping stays until nobody refers to it."""
        os.close(self.descriptor)


class Signal:
    """Wakes a process that waits for it; several calls before it looks are one."""

    def __init__(self, descriptor: int) -> None:
        """Use the eventfd `descriptor`."""
        self.descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def give(self) -> None:
        """Wake whoever waits, now or next time."""
        os.eventfd_write(self.descriptor, 1)

    def wait(self, seconds: float) -> bool:
        """Whether the signal came within `seconds`; it is used up."""
        if not self._poll.poll(1000 * seconds):
            return False
        try:
            os.eventfd_read(self.descriptor)
        except BlockingIOError:  # another took it in between
            return False
        return True


def new_region(name: str, size: int) -> Region:
    """A region of zeros; RuntimeUnavailableError where the system cannot make one."""
    if not hasattr(os, "memfd_create"):
        raise RuntimeUnavailableError(
            "edgesmith serve needs Linux: its processes share memory by memfd; run it on the device"
        )
    descriptor = os.memfd_create(f"edgesmith-{name}")
    os.ftruncate(descriptor, size)
    return Region(descriptor, size)


def new_signal() -> Signal:
    """A signal that was not given."""
    return Signal(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
