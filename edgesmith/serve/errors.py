"""What can go wrong with the loop."""

from edgesmith.errors import EdgesmithError


class SourceError(EdgesmithError):
    """A source cannot be had: wrong name, nothing there, or something missing to read it."""


class SourceLostError(SourceError):
    """A source that gave frames gives none any more; it may come back."""


class ServeError(EdgesmithError):
    """The loop's options do not fit together, or one of its parts cannot be kept alive."""
