"""What can be wrong with a HEF, its device, or its compiler."""

from __future__ import annotations

from edgesmith.errors import EdgesmithError


class HefError(EdgesmithError):
    """A file is no HEF, or is truncated, extended or altered."""


class HailoError(EdgesmithError):
    """The accelerator, its driver, its library or its compiler is missing or does not fit."""
