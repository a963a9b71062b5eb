"""The results as a page: a table per group, and what each tool was asked to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers.plan import TOOLS
from benchmarks.peers.record import Difference, GroupResult, Latency, Results, Row
from edgesmith import files
from edgesmith.device import fingerprint
from edgesmith.errors import ContractError

PAGE = Path("docs/peers.md")
BEGIN, END = "<!-- results: written by python -m benchmarks.peers -->", "<!-- end of results -->"

_COLUMNS = (*("network", "top-1", "− FP32", "− ours", "SQNR", "MB", "latency ÷ ours", "s to make"),)
# Not arithmetic of the network: they stand between float and integer, or between layouts.
_CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "QUANTIZE", "DEQUANTIZE"}


def insert(page: str, results: Results) -> str:
    """The page with its results renewed; ContractError when it has no place for them."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ContractError(f"{PAGE}: has no {BEGIN} … {END}; put both lines back")
    return f"{head}{BEGIN}\n\n{markdown(results)}\n{END}{tail}"


def write(results: Results) -> None:
    """Renew the results of `docs/peers.md`."""
    files.write_text(PAGE, insert(PAGE.read_text(), results))


def markdown(results: Results) -> str:
    """All groups, what was not measured, the machine and the practice followed."""
    parts = [_machine(results)]
    for group in results.groups:
        parts += [summary(group), "What the runtime executes:", _graphs(group)]
    parts += ["### What each tool was asked to do", practice()]
    return "\n\n".join(parts) + "\n"


def summary(group: GroupResult) -> str:
    """One group's heading, table and what was not measured."""
    lines = [_row(_COLUMNS), _row("---" for _ in _COLUMNS), *_lines(group)]
    absent = [
        f"{peer.tool}, {peer.setting}: not measured: {peer.why}" for peer in group.not_measured
    ]
    heading = f"### {group.baseline}, {group.format} ({group.engine})"
    return "\n\n".join([heading, "\n".join(lines), *absent])


def practice() -> str:
    """What each tool was asked to do, and which documentation says so."""
    return "\n".join(
        f"- **{tool.name}**: {tool.practice} ({tool.documentation})." for tool in TOOLS
    )


def _machine(results: Results) -> str:
    found = fingerprint.describe(results.fingerprint)
    return (
        f"{results.test_images:,} test images, {results.calibration_images} calibration images. "
        f"{found}; {results.threads} thread{'s' * (results.threads > 1)}, {results.rounds} rounds "
        f"of at least {results.min_runs} runs and {results.min_seconds:g} s after a warm-up of at "
        f"most {results.max_warmup_seconds:g} s; instructions: {results.fingerprint.get('isa')}."
    )


def _lines(group: GroupResult) -> list[str]:
    return [_line(row, group) for row in group.rows]


def _line(row: Row, group: GroupResult) -> str:
    name = row.name if row.kind != "peer" else f"{row.tool}: {row.setting}"
    name = f"**{name}**" if row.name == group.ours else name
    return _row(
        (
            f"{name} (its default)" if row.default else name,
            f"{row.top1 * 100:.2f}",
            _points(row.vs_fp32),
            _points(row.vs_ours),
            "" if row.sqnr_db is None else f"{row.sqnr_db:.1f}",
            f"{row.size_bytes / 1e6:.2f}",
            _ratio(row.latency),
            "" if row.seconds is None else f"{row.seconds:.0f}",
        )
    )


def _points(difference: Difference | None) -> str:
    if difference is None:
        return ""
    low, high = difference.ci95.low * 100, difference.ci95.high * 100
    return f"{difference.value * 100:+.2f} [{low:+.2f}, {high:+.2f}]"


def _ratio(latency: Latency | None) -> str:
    if latency is None:
        return ""
    bounds = latency.vs_ours_ci95
    mark = " (noisy)" if latency.noisy or not latency.steady else ""
    return f"{latency.vs_ours:.2f} [{bounds.low:.2f}, {bounds.high:.2f}]{mark}"


def _graphs(group: GroupResult) -> str:
    """Networks by what the runtime executes of them: equal lists are named together."""
    alike: dict[str, list[str]] = {}
    for row in group.rows:
        conversions = sum(row.operators.get(name, 0) for name in _CONVERSIONS)
        counts = ", ".join(f"{count} {name}" for name, count in row.operators.items())
        text = (
            f"{sum(row.operators.values())} operators, {conversions} of them conversions: {counts}"
        )
        alike.setdefault(text, []).append(row.name)
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in alike.items())


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
