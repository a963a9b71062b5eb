"""What a profile says, in sentences made of its figures."""

from __future__ import annotations

from edgesmith.profile.compare import Comparison
from edgesmith.profile.families import family
from edgesmith.profile.summary import Summary, top

# Up to what error the layers of a method still say where the time goes.
_CLOSE = 0.25


def paragraph(found: Summary) -> str:
    """The bottleneck of one profile."""
    op, most = next(iter(found.ops.items()))
    slowest = top(found, 3)
    parts = [
        f"{found.subject.label} on {found.engine}: {found.run_ms:.3f} ms per inference, "
        f"{found.kernel_ms:.3f} ms ({1 - found.overhead_share:.0%}) of it in {found.launches} "
        f"kernels of {found.mean_kernel_us:.1f} µs on average.",
        _bound(found),
        f"{op} takes {most.ms:.3f} ms ({most.share:.0%}) in {most.launches} kernel"
        f"{'s' * (most.launches > 1)}; the slowest "
        + ", ".join(f"{layer.name} ({layer.ms:.3f} ms, {layer.share:.0%})" for layer in slowest)
        + ".",
    ]
    if found.conversion_ms > 0:
        kinds = [name for name in found.ops if family(name) == "conversion"]
        parts.append(
            f"{', '.join(kinds)} only change layout or data type: {found.conversion_ms:.3f} ms "
            f"({found.conversion_share:.1%})."
        )
    if found.gaps:
        widest = found.gaps[0]
        parts.append(
            f"The widest gap between kernels, {widest.ms:.3f} ms, lies after {widest.after}."
        )
    parts.append(
        f"Without the profiler the same loop takes {found.plain_p50_ms:.3f} ms (p50), with it "
        f"{found.profiling_ratio:.2f} times that."
    )
    if not 1 - _CLOSE <= found.kernel_ms / found.plain_p50_ms <= 1 + _CLOSE:
        parts.append(
            f"The kernels' sum is {found.kernel_ms / found.plain_p50_ms:.2f} times the plain run: "
            "read shares, not milliseconds."
        )
    return " ".join(parts)


def against(pair: Comparison) -> str:
    """Where one gains over the other, and where it loses."""
    first, second = pair.first, pair.second
    parts = [
        f"{first} takes {pair.first_run_ms:.3f} ms where {second} takes {pair.second_run_ms:.3f} "
        f"({pair.second_run_ms / pair.first_run_ms:.2f} times as long), profiled in turns."
    ]
    gained = [group for group in pair.families.values() if group.saved_ms > 0]
    lost = [group for group in pair.families.values() if group.saved_ms < 0]
    if gained:
        best = sorted(gained, key=lambda group: -group.saved_ms)
        parts.append(
            "Gained: "
            + "; ".join(
                f"{group.title} {-group.saved_ms:+.3f} ms"
                + (f" ({group.ratio:.2f} times as fast)" if group.ratio else "")
                for group in best
            )
            + "."
        )
    if lost:
        worst = sorted(lost, key=lambda group: group.saved_ms)
        parts.append(
            "Lost: "
            + "; ".join(f"{group.title} {-group.saved_ms:+.3f} ms" for group in worst)
            + "."
        )
    slower = sorted((p for p in pair.layers if p.saved_ms < 0), key=lambda p: p.saved_ms)[:3]
    if slower:
        parts.append(
            f"{sum(p.saved_ms < 0 for p in pair.layers)} of {len(pair.layers)} matched layers are "
            "slower, most of all "
            + ", ".join(f"{p.first} ({-p.saved_ms:+.3f} ms)" for p in slower)
            + "."
        )
    return " ".join(parts)


def _bound(found: Summary) -> str:
    """Kernels or the framework, by what takes more; and what the framework's share consists of."""
    largest, value = max(found.overhead_ms.items(), key=lambda item: item[1])
    share = found.overhead_share
    what = f"{share:.0%} is spent outside kernels, most of it ({value:.3f} ms) {_where(largest)}"
    if share >= 0.5:
        return f"The framework is the bottleneck: {what}."
    if share >= 0.2:
        return f"Kernels dominate, but {what}."
    return f"The kernels are the bottleneck: {what}."


def _where(name: str) -> str:
    return name if name.startswith(("between", "in ")) else f"in: {name}"
