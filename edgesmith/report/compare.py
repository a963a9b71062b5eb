"""The comparison of strategies: `metrics/strategies.json`, `comparison.md` and `active.json`.

Every sentence comes from the records: nothing is claimed that a file under `metrics/` does not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgesmith.bench.record import Bench, RuntimesBench
from edgesmith.device import fingerprint
from edgesmith.device.fingerprint import Device
from edgesmith.errors import ParamsError
from edgesmith.intervals import Bounds
from edgesmith.params import Params, PruneVariant
from edgesmith.report import runtimes
from edgesmith.report.accuracy import METRICS, unpaired_difference
from edgesmith.report.cells import Cell
from edgesmith.report.cost import Cost
from edgesmith.report.formats import across, exports
from edgesmith.report.markdown import table

# Formats without a benchmark stage of their own.
_TIMED_IN_TABLE = {"torchscript"}


def strategies(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """One row per cell by its name; a figure that was not measured here is absent."""
    rows = {}
    for cell in cells:
        change = cell.change
        row = {
            "precision": cell.accuracy.precision,
            "size_bytes": cell.accuracy.size_bytes,
            "size_x": _rounded(cell.size_x),
            "params_x": _rounded(cell.params_x),
            "macs_x": _rounded(cell.macs_x),
            "latency_ms_p50": cell.bench.latency_ms.p50 if cell.bench else None,
            "speedup": cell.bench.speedup_vs_baseline if cell.bench else None,
            "accuracy": cell.accuracy.value,
            "accuracy_change": round(change.value, 6) if change else None,
            "retraining": cell.retraining,
        }
        rows[cell.name] = {key: value for key, value in row.items() if value is not None}
    return rows


def active(cells: Sequence[Cell], params: Params) -> dict[str, Any]:
    """The figures of `params.yaml: active`, flat; ParamsError when that cell was not evaluated."""
    wanted = f"{params.active.variant}.{params.active.format}"
    cell = next((cell for cell in cells if cell.name == wanted), None)
    if cell is None:
        raise ParamsError(
            f"params.yaml: active is {wanted}, which was not evaluated; "
            f"evaluated: {', '.join(cell.name for cell in cells)}"
        )
    change, bench = cell.change, cell.bench
    values = {
        "variant": cell.variant,
        "format": cell.format,
        "precision": cell.accuracy.precision,
        "accuracy": cell.accuracy.value,
        "accuracy_low": cell.accuracy.value_ci95.low,
        "accuracy_high": cell.accuracy.value_ci95.high,
        "accuracy_change": round(change.value, 6) if change else None,
        "size_bytes": cell.accuracy.size_bytes,
        "params": cell.accuracy.params,
        "macs": cell.accuracy.macs,
        "latency_ms_p50": bench.latency_ms.p50 if bench else None,
        "latency_ms_p90": bench.latency_ms.p90 if bench else None,
        "end_to_end_ms_p50": bench.end_to_end_ms.p50 if bench else None,
        "rss_mb": bench.rss_mb if bench else None,
        "speedup": bench.speedup_vs_baseline if bench else None,
    }
    return {key: value for key, value in values.items() if value is not None}


def families(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by the baseline that their ratios refer to, in order of appearance."""
    result: dict[str, list[Cell]] = {}
    for cell in cells:
        result.setdefault(cell.baseline, []).append(cell)
    return result


def headers(cells: Iterable[Cell]) -> tuple[str, ...]:
    """Of the columns of `table_rows`; the cells share one metric, as a family does."""
    metrics = dict.fromkeys(METRICS[cell.accuracy.metric] for cell in cells)
    return (
        *("variant", "format", "precision", f"{' or '.join(metrics)}, %", "Δ, points"),
        *("size, MB", "size ×", "params ×", "MACs ×", "p50 / p90, ms", "speed-up ×", "retrained"),
    )


def table_rows(cells: Iterable[Cell]) -> list[tuple[str, ...]]:
    """The cells as text, one tuple in the order of `headers` each."""
    return [_row(cell) for cell in cells]


def markdown(
    cells: Sequence[Cell],
    params: Params,
    device: Device,
    compared: Mapping[str, RuntimesBench] | None = None,
    costs: Sequence[Cost] = (),
) -> str:
    """`comparison.md`: tables, how they were measured, and what the controls show."""
    lines = ["# Comparison of strategies", ""]
    lines += ["Written by `dvc repro` from the files in `metrics/`; brackets are 95 % intervals."]
    for baseline, members in families(cells).items():
        images = {cell.accuracy.images for cell in members}
        dataset = params.variants[baseline].dataset
        lines += ["", f"## {baseline}", ""]
        lines += [
            f"`{dataset}`, {_span(images)} test images. Ratios and Δ are against `{baseline}` in "
            "the same format.",
            "",
            *table(headers(members), table_rows(members)),
        ]
    if formats := across(cells):
        lines += ["", "## One quantization in every format", "", *formats]
    if compared:
        lines += ["", "## Runtimes, one run", "", *runtimes.markdown(compared, device)]
    if taken := exports(costs, device):
        lines += ["", "## What an export takes", "", *taken]
    lines += ["", "## How it was measured", "", *notes(cells, device)]
    sentences = [*_pruning(cells, params), *_distillation(cells, params)]
    if sentences:
        lines += ["", "## Against the controls", "", *sentences]
    return "\n".join(lines) + "\n"


def notes(cells: Sequence[Cell], device: Device) -> list[str]:
    """Markdown bullets: machine, engines, method, and every figure that deserves a doubt."""
    lines = [f"- Machine `{device.fingerprint_id}`: {fingerprint.describe(device.fingerprint)}."]
    benches = [cell.bench for cell in cells if cell.bench]
    if benches:
        lines += _method(benches)
    if any(cell.change and not cell.change.paired for cell in cells):
        lines.append(
            "- † not paired: this chain starts from other weights or takes images of another size, "
            "so the interval is that of two independent shares and wider than need be."
        )
    noisy = [f"`{cell.name}`" for cell in cells if cell.bench and cell.bench.noisy]
    if noisy:
        lines.append(
            f"- ~ noisy, another measurement may give a p50 more than 3 % away: {', '.join(noisy)}."
        )
    unsteady = [f"`{cell.name}`" for cell in cells if cell.bench and not cell.bench.steady]
    if unsteady:
        lines.append(f"- Not yet steady when the warm-up's time was over: {', '.join(unsteady)}.")
    foreign = [cell for cell in cells if cell.other_machine]
    if foreign:
        names = ", ".join(f"`{cell.name}` ({cell.other_machine})" for cell in foreign)
        lines.append(
            f"- Measured on another machine and therefore left out: {names}. Run `dvc repro` to "
            "measure here."
        )
    missing = [cell for cell in cells if cell.bench is None and not cell.other_machine]
    unmeasured = [f"`{cell.name}`" for cell in missing if cell.format not in _TIMED_IN_TABLE]
    if unmeasured:
        lines.append(f"- Not measured: {', '.join(unmeasured)}.")
    elsewhere = [f"`{cell.name}`" for cell in missing if cell.format in _TIMED_IN_TABLE]
    if elsewhere:
        lines.append(
            "- Timed only in the table of runtimes, if their chain is in it: "
            f"{', '.join(elsewhere)}."
        )
    return lines


def _method(benches: Sequence[Bench]) -> list[str]:
    engines = ", ".join(sorted({f"{bench.runtime} ({bench.providers})" for bench in benches}))
    threads = _span({bench.threads for bench in benches})
    return [
        f"- Engine {engines}, threads: {threads}, batch 1, network alone.",
        f"- Each artifact in a fresh process; warm-up until two windows agree within 3 % "
        f"({_span({bench.warmup_runs for bench in benches})} runs); then "
        f"{_span({bench.rounds for bench in benches})} rounds in turns with the baseline, "
        f"{_span({bench.runs for bench in benches})} timed runs per cell. The speed-up is the "
        "geometric mean of the rounds' ratios of medians, its interval Student's t over rounds.",
    ]


def _row(cell: Cell) -> tuple[str, ...]:
    own, bench, change = cell.accuracy, cell.bench, cell.change
    if bench:
        latency = f"{bench.latency_ms.p50:.2f} / {bench.latency_ms.p90:.2f}"
        latency += " ~" if bench.noisy else ""
        speedup = f"{bench.speedup_vs_baseline:.2f}"
        if cell.variant != cell.baseline:
            speedup += f" [{bench.speedup_ci95.low:.2f}, {bench.speedup_ci95.high:.2f}]"
    else:
        latency = f"other machine ({cell.other_machine})" if cell.other_machine else "—"
        speedup = "—"
    return (
        cell.variant,
        cell.format,
        own.precision,
        f"{100 * own.value:.1f} [{100 * own.value_ci95.low:.1f}, {100 * own.value_ci95.high:.1f}]",
        "—" if change is None or cell.variant == cell.baseline else _points(*change),
        f"{own.size_bytes / 1e6:.2f}",
        _ratio(cell.size_x),
        _ratio(cell.params_x),
        _ratio(cell.macs_x),
        latency,
        speedup,
        "yes" if cell.retraining else "no",
    )


def _pruning(cells: Sequence[Cell], params: Params) -> list[str]:
    """What removing channels gained, against training as long and against being born smaller."""
    lines = []
    for cell in cells:
        variant = params.variants[cell.variant]
        if not isinstance(variant, PruneVariant):
            continue
        controls = [
            *(
                (other, "same parent trained on, nothing removed")
                for other in _same_parent(cell, cells, params)
            ),
            *(
                (other, "a narrower network, trained from its own start")
                for other in _narrower(cell, cells, params)
            ),
        ]
        how = f"{variant.sparsity}, ratio {variant.ratio:g}"
        lines += [f"**`{cell.name}`** ({how}): {_summary(cell)}."]
        if variant.sparsity != "structured":
            lines += [
                "Its zeros are stored and multiplied like any other weight: none of these engines "
                "skips them, so that neither file nor latency can shrink."
            ]
        lines += ["", *_against(cell, controls), ""]
    return lines


def _distillation(cells: Sequence[Cell], params: Params) -> list[str]:
    """What the teacher gave, against the same student without one."""
    lines = []
    for cell in cells:
        variant = params.variants[cell.variant]
        if variant.step != "distill":
            continue
        teacher = next(
            (
                other
                for other in cells
                if other.variant == variant.teacher and other.format == cell.format
            ),
            None,
        )
        controls = [
            (other, "same parent trained without a teacher")
            for other in _same_parent(cell, cells, params)
        ]
        if teacher:
            controls.append((teacher, "its teacher"))
        lines += [f"**`{cell.name}`** (teacher `{variant.teacher}`): {_summary(cell)}."]
        lines += ["", *_against(cell, controls), ""]
    return lines


def _against(cell: Cell, controls: Sequence[tuple[Cell, str]]) -> list[str]:
    """A bullet per control and a verdict; what is ahead is named, within its uncertainty."""
    if not controls:
        return ["- No control of it was built: nothing shows what training alone would have given."]
    lines, ahead, unclear = [], [], []
    for other, what in controls:
        difference, interval = unpaired_difference(
            cell.accuracy.value,
            cell.accuracy.value_ci95,
            other.accuracy.value,
            other.accuracy.value_ci95,
        )
        certain = interval.low > 0 or interval.high < 0
        if difference <= 0:
            ahead.append(f"`{other.variant}`")
        elif not certain:
            unclear.append(f"`{other.variant}`")
        text = _points(difference, Bounds.of(interval, 6), paired=True)
        doubt = "" if certain else f"; {cell.accuracy.images} images cannot tell them apart"
        lines.append(f"- Against `{other.name}` ({what}; {_summary(other)}): {text} points{doubt}.")
    if ahead:
        verdict = f"not more accurate than {' and '.join(ahead)}"
    elif unclear:
        verdict = f"ahead of each, but against {' and '.join(unclear)} within the uncertainty"
    else:
        verdict = "more accurate than each of them"
    return [*lines, f"- Verdict: `{cell.variant}` is {verdict}."]


def _same_parent(cell: Cell, cells: Sequence[Cell], params: Params) -> list[Cell]:
    """Variants that only train what `cell` also started from, in the same format."""
    parent = params.variants[cell.variant].parent
    return [
        other
        for other in cells
        if other.format == cell.format
        and other.variant != cell.variant
        and params.variants[other.variant].step == "train"
        and params.variants[other.variant].parent == parent
    ]


def _narrower(cell: Cell, cells: Sequence[Cell], params: Params) -> list[Cell]:
    """Trained models of the same architecture and baseline with a smaller width, same format."""
    full = params.models[_root(params, cell.variant)]
    found = []
    for other in cells:
        variant = params.variants[other.variant]
        if other.format != cell.format or other.baseline != cell.baseline:
            continue
        if variant.step == "train" and variant.parent in params.models:
            model = params.models[variant.parent]
            if model.architecture == full.architecture and model.width < full.width:
                found.append(other)
    return found


def _root(params: Params, variant: str) -> str:
    """The model at the start of a variant's chain."""
    while variant in params.variants:
        variant = params.variants[variant].parent
    return variant


def _summary(cell: Cell) -> str:
    parts = [f"{100 * cell.accuracy.value:.1f} %", f"{cell.accuracy.macs / 1e6:.1f} M MACs"]
    if cell.bench:
        parts.append(f"{cell.bench.speedup_vs_baseline:.2f}× as fast as `{cell.baseline}`")
    return ", ".join(parts)


def _points(value: float, bounds: Bounds, paired: bool) -> str:
    text = f"{100 * value:+.1f} [{100 * bounds.low:+.1f}, {100 * bounds.high:+.1f}]"
    return text if paired else f"{text} †"


def _ratio(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _span(values: Iterable[int]) -> str:
    low, high = min(values := sorted(values)), max(values)
    return f"{low}" if low == high else f"{low}–{high}"
