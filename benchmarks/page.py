"""Sections of a documentation page that a command writes, between two comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgesmith import files
from edgesmith.errors import ParamsError


def replace_section(page: Path, name: str, lines: Sequence[str]) -> None:
    """Put `lines` between `<!-- name … -->` and `<!-- end of name -->`; the rest stays as it is.

    Raises ParamsError when the page has no such section.
    """
    text = page.read_text()
    begin, end = text.find(f"<!-- {name}:"), text.find(f"<!-- end of {name} -->")
    if begin < 0 or end < begin:
        raise ParamsError(f"{page}: has no section between `<!-- {name}: … -->` and its end")
    start = text.index("-->", begin) + len("-->")
    files.write_text(page, f"{text[:start]}\n\n" + "\n".join(lines) + f"\n\n{text[end:]}")
