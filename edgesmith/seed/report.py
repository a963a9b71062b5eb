"""The report as Markdown and as a picture, and its place in a page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from edgesmith import files
from edgesmith.errors import DataError
from edgesmith.profile.summary import Summary
from edgesmith.profile.words import CLOSE
from edgesmith.report.markdown import table
from edgesmith.seed.measure import Seed
from edgesmith.seed.published import CLAIMS, ROWS, WHERE, published_ratio

_BEGIN, _END = "<!-- seed -->", "<!-- /seed -->"
_HEADERS = ("framework", "precision", "JIT", "FPS", "p50, ms", "engine", f"FPS, {WHERE}")
_RATIOS = ("ratio", "measured here", WHERE)


def markdown(seed: Seed, profiles: Mapping[str, Summary]) -> list[str]:
    """Lines: the table, the ratios, why rows are missing, and where the time goes."""
    return [
        f"{seed.network}. {seed.machine}; {seed.threads} thread{'s' * (seed.threads > 1)}, "
        f"batch 1, {seed.rounds} rounds in turns, each cell in a process of its own.",
        "",
        *table(_HEADERS, _rows(seed)),
        "",
        "~ noisy or not steady. Brackets: 95 % intervals, of p50 over runs and rounds, of ratios "
        "over rounds. Published figures are of another machine and of ImageNet's network at "
        "224 px: they are here to compare ratios, not milliseconds.",
        "",
        *table(_RATIOS, _ratios(seed)),
        "",
        *(f"- Not measured here: {_name(key)}: {why}." for key, why in seed.not_measured.items()),
        "",
        "### Where the time goes",
        "",
        *(line for summary in profiles.values() for line in (f"- {summary.words}",)),
        "",
        *(f"{line}" for line in [_conclusion(profiles)] if line),
    ]


def png(seed: Seed) -> bytes:
    """PNG of frames per second by cell, on a logarithmic axis."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        rows = [row for row in ROWS if row.key in seed.cells]
        figure = Figure(figsize=(9, 1.4 + 0.34 * len(rows)), dpi=110, layout="constrained")
        axes = figure.subplots()
        values = [seed.cells[row.key].fps for row in rows]
        colours = ["C0" if row.precision == "FP32" else "C1" for row in rows]
        bars = axes.barh(range(len(rows)), values, color=colours, alpha=0.7)
        axes.bar_label(bars, [f"{value:.0f}" for value in values], padding=3, fontsize=8)
        names = [f"{row.framework} {row.precision}" + _jit(row.jit) for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.margins(x=0.12)
        axes.set_xlabel(f"frames per second, batch 1, {seed.threads} thread(s)")
        axes.set_title(seed.network, fontsize=8)
        axes.grid(alpha=0.3, axis="x")
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def place(page: Path, lines: list[str]) -> None:
    """Write the lines between the page's marks; DataError for a page without them."""
    try:
        text = page.read_text()
    except OSError as error:
        raise DataError(f"{page}: cannot be read ({error.strerror}); name a page") from error
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise DataError(f"{page}: no {_BEGIN} … {_END} to write between; add both lines")
    content = "\n".join(lines)
    files.write_text(page, f"{before}{_BEGIN}\n{content}\n{_END}{after}")


def table_rows(seed: Seed) -> list[tuple[str, ...]]:
    """The report's table as text."""
    return _rows(seed)


def _rows(seed: Seed) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for row in ROWS:
        published = "—" if row.fps is None else f"{row.fps:g}"
        cell = seed.cells.get(row.key)
        if cell is None:
            measured = ("not measured here", "—", "—")
        else:
            doubt = "" if cell.steady and not cell.noisy else " ~"
            bounds = cell.latency_ms_ci95
            measured = (
                f"{cell.fps:.1f}{doubt}",
                f"{cell.latency_ms.p50:.3f} [{bounds.low:.3f}, {bounds.high:.3f}]",
                cell.engine,
            )
        rows.append((row.framework, row.precision, row.jit, *measured, published))
    return rows


def _ratios(seed: Seed) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for claim in CLAIMS:
        ratio, published = seed.ratios.get(claim.text), published_ratio(claim)
        rows.append(
            (
                claim.text,
                "not measured here"
                if ratio is None
                else f"{ratio.value:.2f} [{ratio.ci95.low:.2f}, {ratio.ci95.high:.2f}]",
                "—" if published is None else f"{published:.1f}",
            )
        )
    return rows


def _name(key: str) -> str:
    row = next(row for row in ROWS if row.key == key)
    return f"{row.framework} {row.precision}{_jit(row.jit)}"


def _jit(jit: str) -> str:
    return " with JIT" if jit == "on" else ""


def _conclusion(profiles: Mapping[str, Summary]) -> str:
    """PyTorch beside ONNX Runtime; empty without both."""
    torch, onnx = profiles.get("pytorch"), profiles.get("onnxruntime")
    if torch is None or onnx is None:
        return ""
    outside = torch.run_ms - torch.kernel_ms
    text = (
        f"Side by side, FP32: PyTorch launches {torch.launches} kernels for an inference, ONNX "
        f"Runtime {onnx.launches}. Of PyTorch's profiled inference {torch.overhead_share:.0%} "
        f"({outside:.3f} ms) pass outside kernels, of ONNX Runtime's {onnx.overhead_share:.0%} "
        f"({onnx.run_ms - onnx.kernel_ms:.3f} ms), the profilers' own work included "
        f"(×{torch.profiling_ratio:.2f} and ×{onnx.profiling_ratio:.2f}). "
    )
    if any(found.kernel_ms > CLOSE * found.plain_ms for found in (torch, onnx)):
        # Kernels lengthened by their profiler explain no difference of plain runs.
        return text + (
            "How much of the difference without profilers is the kernels' cannot be told: under "
            "the profiler they add up to more than the plain run."
        )
    gap, kernels = torch.plain_ms - onnx.plain_ms, torch.kernel_ms - onnx.kernel_ms
    if gap <= 0:
        return text + "PyTorch is not slower here."
    text += f"Of the {gap:.3f} ms between both without profilers, kernels explain "
    return text + f"{max(0.0, min(1.0, kernels / gap)):.0%}; the rest is the framework's."
