"""What a module of this repository imports, directly and through others, read from the sources.

Imports inside functions count; those under `if TYPE_CHECKING:` do not, for nothing runs them. A
module that is started by its name (`python -m edgesmith.bench.worker`) is a string in the source:
any string that is the dotted name of one of our modules counts as an import of it. A task's module
is imported by a name that is put together at run time: `closure` is told which task.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OURS = ("edgesmith", "stages")
# Of the task {}: what `task_of` of this other module imports.
TASK, TASK_OF = "edgesmith.tasks.{}.task", "edgesmith.tasks.task"


class Imports(NamedTuple):
    """Files of ours, relative to the root, and the top-level names of everything else."""

    ours: frozenset[str]
    foreign: frozenset[str]


@cache
def closure(module: str, task: str = "", without: frozenset[str] = frozenset()) -> Imports:
    """All that importing `module` can lead to; packages' `__init__` count unless they are inert.

    With `task`, also all that `task_of` of this task leads to, if the module gets there. Modules
    named in `without` are not followed.
    """
    ours: set[str] = set()
    foreign: set[str] = set()
    waiting = [module]
    seen = set(without)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.split(".")[0] not in OURS:
            foreign.add(name.split(".")[0])
            continue
        path = find(name)
        assert path is not None, f"{name} is imported, but there is no such module"
        if not is_inert(path):
            ours.add(path)
        waiting += imports_of(path)
        waiting += [TASK.format(task)] if task and name == TASK_OF else []
        waiting += [name.rpartition(".")[0]] if "." in name else []
    return Imports(frozenset(ours), frozenset(foreign - sys.stdlib_module_names))


@cache
def imports_of(path: str) -> tuple[str, ...]:
    """Dotted names of the modules that one file imports or names."""
    return tuple(_names(tree_of(path), path))


@cache
def tree_of(path: str) -> ast.Module:
    """The syntax tree of a file, relative to the root."""
    return ast.parse((ROOT / path).read_text(), path)


def find(module: str) -> str | None:
    """The file of one of our modules, relative to the root."""
    path = module.replace(".", "/")
    for candidate in (f"{path}.py", f"{path}/__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    return None


def is_inert(path: str) -> bool:
    """Whether a file is an `__init__` of nothing but a docstring and a version: it does nothing."""
    return path.endswith("__init__.py") and all(
        (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__")
        for node in tree_of(path).body
    )


def sources() -> list[str]:
    """Every source file of ours, relative to the root."""
    return sorted(
        str(path.relative_to(ROOT)) for folder in OURS for path in (ROOT / folder).rglob("*.py")
    )


def _names(tree: ast.AST, path: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}:{node.lineno}: a relative import"
            yield node.module
            if node.module.split(".")[0] in OURS:
                inside = (f"{node.module}.{alias.name}" for alias in node.names)
                yield from (name for name in inside if find(name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
            if name.split(".")[0] in OURS and "." in name and find(name):
                yield name
        else:
            yield from _names(node, path)
