"""Ready sets of parameters: merge an overlay such as `params/cifar10.yaml` into `params.yaml`.

Mappings merge key by key, anything else replaces what was there, `null` removes a key, and the
sections that a top-level `_replace: [datasets, variants]` names are replaced whole. Comments of
`params.yaml` stay. Build side only.
"""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from edgesmith import files
from edgesmith.errors import ParamsError
from edgesmith.params import load_params

REPLACE = "_replace"


def apply(overlay: Path, params: Path = Path("params.yaml")) -> None:
    """Merge `overlay` into `params`, which changes only if the result is valid.

    Raises ParamsError naming the file and key at fault; `params` is then as it was.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100
    target, change = _read(yaml, params), _read(yaml, overlay)
    replaced = _replaced_sections(overlay, change)
    for section in replaced:
        target[section] = {}
    merge(target, {key: value for key, value in change.items() if key != REPLACE})
    stream = io.StringIO()
    yaml.dump(target, stream)
    _check(stream.getvalue(), overlay, params)
    files.write_text(params, stream.getvalue())


def merge(target: MutableMapping[str, Any], change: MutableMapping[str, Any]) -> None:
    """Merge `change` into `target` in place: mappings by key, `None` removes, the rest replaces."""
    for key, value in change.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, MutableMapping) and isinstance(target.get(key), MutableMapping):
            target[key] = _own(target[key])
            merge(target[key], value)
        else:
            target[key] = value


def _own(mapping: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A copy of a mapping that is written once and meant in several places (`&x` and `*x`).

    A change of one of them must not reach the others.
    """
    if not isinstance(mapping, CommentedMap) or mapping.yaml_anchor() is None:
        return mapping
    mine = copy.deepcopy(mapping)
    _drop_anchors(mine)
    return mine


def _drop_anchors(mapping: CommentedMap) -> None:
    """Take away the names of a copy and of all in it, which are the original's."""
    mapping.yaml_set_anchor(None)
    for value in mapping.values():
        if isinstance(value, CommentedMap):
            _drop_anchors(value)


def _read(yaml: YAML, path: Path) -> MutableMapping[str, Any]:
    try:
        content = yaml.load(path.read_text())
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror})") from error
    except YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, MutableMapping):
        raise ParamsError(f"{path}: must be a mapping of the sections of params.yaml")
    return content


def _replaced_sections(overlay: Path, change: MutableMapping[str, Any]) -> list[str]:
    names = change.get(REPLACE, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ParamsError(f"{overlay}: {REPLACE} must be a list of sections, such as [variants]")
    for name in names:
        if not isinstance(change.get(name), MutableMapping):
            raise ParamsError(f"{overlay}: {REPLACE} names {name}, which the overlay does not hold")
    return names


def _check(content: str, overlay: Path, params: Path) -> None:
    """Parse the merged text as `params.yaml`; the message names the overlay as the origin."""
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / params.name
        merged.write_text(content)
        try:
            load_params(merged)
        except ParamsError as error:
            message = str(error).replace(str(merged), params.name)
            raise ParamsError(f"{overlay}: merged into {params}, it gives:\n{message}") from error
