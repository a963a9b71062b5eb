"""What can go wrong between the host and a device."""

from edgesmith.errors import EdgesmithError


class RemoteError(EdgesmithError):
    """A device cannot be used as asked; trying again changes nothing before somebody acts."""


class ConnectionLostError(RemoteError):
    """The device did not answer, or the connection broke: trying again may help."""
