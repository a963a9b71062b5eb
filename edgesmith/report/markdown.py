"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table; texts must not hold `|`."""
    named = list(headers)
    return [_row(named), _row("---" for _ in named), *(_row(row) for row in rows)]


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"
