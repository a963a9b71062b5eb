"""What a linter says of an artifact: where the fault is, what it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One fault. `refused`: the vendor's tool takes no such model; `caution`: it does, at a cost.

    `where` names the node or tensor, or the whole model.
    """

    severity: Literal["refused", "caution"]
    where: str
    fault: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.fault}; {self.remedy}"


def refused(where: str, fault: str, remedy: str) -> Finding:
    """A fault that the vendor's tool stops at."""
    return Finding("refused", where, fault, remedy)


def caution(where: str, fault: str, remedy: str) -> Finding:
    """A fault that costs speed, accuracy or portability."""
    return Finding("caution", where, fault, remedy)


def is_refused(findings: Iterable[Finding]) -> bool:
    """Whether the vendor's tool would stop."""
    return any(finding.severity == "refused" for finding in findings)
