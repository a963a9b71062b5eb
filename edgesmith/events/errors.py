"""What can go wrong with the event log and its shipping."""

from edgesmith.errors import EdgesmithError


class EventsError(EdgesmithError):
    """The log cannot be opened, written or read."""


class SyncError(EdgesmithError):
    """Events could not be shipped, and trying again would not help as things are."""


class UnreachableError(SyncError):
    """The receiver did not answer, or not now; trying again later may help.

    `after_s` is what it asked to wait.
    """

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class RefusedError(SyncError):
    """The receiver will not have this batch, however often it is sent."""
