"""The results as a page: parity, and a table per group."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers.detect.record import Difference, GroupResult, Latency, Parity, Results, Row
from edgesmith import files
from edgesmith.device import fingerprint
from edgesmith.errors import ContractError

PAGE = Path("docs/peers-detect.md")
BEGIN = "<!-- results: written by python -m benchmarks.peers.detect -->"
END = "<!-- end of results -->"

_COLUMNS = (
    "network",
    "precision",
    "head",
    "mAP50-95",
    "mAP50",
    "− its FP32",
    "beside",
    "− beside",
    "MB",
    "model ms",
    "× beside",
    "end to end ms",
    "× beside",
)


def insert(page: str, results: Results) -> str:
    """The page with its results renewed; ContractError when it has no place for them."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ContractError(f"{PAGE}: has no {BEGIN} … {END}; put both lines back")
    return f"{head}{BEGIN}\n\n{markdown(results)}\n{END}{tail}"


def write(results: Results) -> None:
    """Renew the results of `docs/peers-detect.md`."""
    files.write_text(PAGE, insert(PAGE.read_text(), results))


def markdown(results: Results) -> str:
    """The machine, the parity and all groups."""
    parts = [_machine(results)]
    if results.parity is not None:
        parts.append(_parity(results.parity))
    parts += [summary(group) for group in results.groups]
    return "\n\n".join(parts) + "\n"


def summary(group: GroupResult) -> str:
    """One group's heading, table and what was not measured."""
    lines = [_row(_COLUMNS), _row("---" for _ in _COLUMNS), *[_line(row) for row in group.rows]]
    absent = [f"- not built: {asked.why}" for asked in group.not_measured]
    heading = (
        f"### {group.baseline}, {group.format} ({group.engine}), {group.input}\n\n"
        f"{group.test_images:,} test images, {group.calibration_images} calibration images."
    )
    return "\n\n".join([heading, "\n".join(lines), *(["\n".join(absent)] if absent else [])])


def _parity(parity: Parity) -> str:
    return (
        "### The same weights in Ultralytics' `predict` and in ours\n\n"
        f"{parity.variant}, trained on COCO128 itself for {parity.epochs} epochs at "
        f"{parity.input}: a figure of parity, of no accuracy. On all {parity.images} "
        f"images there are {parity.ours:,} detections of ours "
        f"with a score of {parity.score:g} or more ({parity.confident:,} of 0.25 or more), "
        f"{parity.theirs:,} of theirs, {parity.matched:,} in common, {parity.unmatched} without a "
        f"partner. Of those in common, boxes differ by at most **{parity.max_box_px:.3g} px** of "
        f"the original image (median {parity.median_box_px:.2g} px) and scores by at most "
        f"**{parity.max_score:.2g}**."
    )


def _machine(results: Results) -> str:
    return (
        f"{fingerprint.describe(results.fingerprint)}; {results.threads} "
        f"thread{'s' * (results.threads > 1)}, {results.rounds} rounds of at least "
        f"{results.min_runs} runs and {results.min_seconds:g} s after a warm-up of at most "
        f"{results.max_warmup_seconds:g} s; instructions: {results.fingerprint.get('isa')}."
    )


def _line(row: Row) -> str:
    low, high = row.map50_95_ci95.low * 100, row.map50_95_ci95.high * 100
    return _row(
        (
            f"**{row.name}**" if row.kind == "ours" else f"`{row.setting}`",
            row.precision,
            row.head,
            f"{row.map50_95 * 100:.2f} [{low:.2f}, {high:.2f}]",
            f"{row.map50 * 100:.2f}",
            _points(row.loss),
            row.against or "",
            _points(row.difference),
            f"{row.size_bytes / 1e6:.2f}",
            f"{row.infer.p50_ms:.2f}",
            _ratio(row.infer),
            f"{row.end_to_end.p50_ms:.2f}",
            _ratio(row.end_to_end),
        )
    )


def _points(difference: Difference | None) -> str:
    if difference is None:
        return ""
    low, high = difference.ci95.low * 100, difference.ci95.high * 100
    return f"{difference.value * 100:+.2f} [{low:+.2f}, {high:+.2f}]"


def _ratio(latency: Latency) -> str:
    if latency.ratio is None or latency.ratio_ci95 is None:
        return ""
    bounds = latency.ratio_ci95
    mark = " (noisy)" if latency.noisy or not latency.steady else ""
    return f"{latency.ratio:.2f} [{bounds.low:.2f}, {bounds.high:.2f}]{mark}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
