"""What can go wrong between what was published and what is active on a device."""

from edgesmith.errors import EdgesmithError


class DeliverError(EdgesmithError):
    """A pull or a rollback cannot be done as asked; what was active stays active."""


class KeyFileError(DeliverError):
    """A signing key is missing, unsafe, or would be overwritten."""


class ManifestError(DeliverError):
    """The manifest is of another version, damaged, expired or older than one seen before."""


class SignatureError(DeliverError):
    """No key that this device trusts signed the manifest."""


class SourceError(DeliverError):
    """A source cannot be used; trying again changes nothing before somebody acts."""


class MissingError(SourceError):
    """The source answers, and has no such object."""


class TransferError(DeliverError):
    """The source did not answer or the transfer broke: trying again may help."""


class ObjectError(DeliverError):
    """An object arrived with another content than the manifest says, again after a second try."""


class SpaceError(DeliverError):
    """The disk is too full."""


class SelfTestError(DeliverError):
    """An artifact does not give on this device what it gave where it was published."""


class StoreError(DeliverError):
    """The store is in use, cannot be written, or holds nothing of what is asked for."""


class PublishError(DeliverError):
    """An artifact of the checkout cannot be published as it is."""
