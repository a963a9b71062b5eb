"""What can go wrong that a caller can act on.

Every message says what is wrong, where (file and key) and what to do. Stages and the command line
print the message alone and exit with status 1; anything else is a defect and keeps its traceback.
"""


class EdgesmithError(Exception):
    """Base of the errors that a user can mend; never raised itself."""


class ParamsError(EdgesmithError):
    """`params.yaml`, or an overlay, says something impossible."""


class DataError(EdgesmithError):
    """A dataset, an image or a label cannot be used."""


class ModelError(EdgesmithError):
    """Stored weights or a model description are missing, damaged or do not fit together."""


class ExportError(EdgesmithError):
    """A format cannot express the model, or its converter failed."""


class ParityError(EdgesmithError):
    """An artifact differs from its parent by more than `params.yaml: tolerances` allows."""


class QuantizeError(EdgesmithError):
    """Integers cost a variant more of its accuracy than it allows."""


class ContractError(EdgesmithError):
    """An artifact's `contract.json` is missing, of another version, or does not match its files."""


class RuntimeUnavailableError(EdgesmithError):
    """The inference engine, or a provider of it, is not installed or does not work here."""
