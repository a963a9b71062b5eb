"""`params.yaml` as valid values: parsed once at the border, with errors that name the key.

Every section is a pydantic model; unknown keys are refused. What a key means to a user is explained
beside it in `params.yaml`; here are types, ranges and the rules between sections.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from edgesmith.errors import ParamsError
from edgesmith.params.data import Augment, Dataset
from edgesmith.params.measuring import (
    Active,
    Bench,
    Export,
    FormatCell,
    Formats,
    Runtime,
    RuntimePair,
    Sensitivity,
    TaskTolerances,
    Tolerance,
    Tolerances,
)
from edgesmith.params.networks import Model, Schedule
from edgesmith.params.section import Task
from edgesmith.params.variants import (
    CastVariant,
    DistillVariant,
    PruneVariant,
    QuantizeVariant,
    ResizeVariant,
    TrainVariant,
    Variant,
)
from edgesmith.params.whole import Params

__all__ = [
    "Active",
    "Augment",
    "Bench",
    "CastVariant",
    "Dataset",
    "DistillVariant",
    "Export",
    "FormatCell",
    "Formats",
    "Model",
    "Params",
    "PruneVariant",
    "QuantizeVariant",
    "ResizeVariant",
    "Runtime",
    "RuntimePair",
    "Schedule",
    "Sensitivity",
    "Task",
    "TaskTolerances",
    "Tolerance",
    "Tolerances",
    "TrainVariant",
    "Variant",
    "load_params",
]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Parse and check `params.yaml`; ParamsError names the file, the key and what it must be."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(_explain(path, error)) from error


def _explain(path: Path, error: ValidationError) -> str:
    """One line per fault: `params.yaml: variants.x.ratio is 1.3; input should be less than 1`."""
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if fault["type"] == "value_error":
            lines.append(f"{path}: {key + ': ' if key else ''}{message}")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{path}: {key} is not a known key; remove it or correct its spelling")
        elif fault["type"] == "missing":
            lines.append(f"{path}: {key} is missing")
        else:
            lines.append(f"{path}: {key} is {fault['input']!r}; {message}")
    return "\n".join(lines)
