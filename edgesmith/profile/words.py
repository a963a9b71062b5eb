"""What a profile says, in sentences made of its figures."""

from __future__ import annotations

from edgesmith.profile.compare import Comparison, Group
from edgesmith.profile.families import family
from edgesmith.profile.summary import Summary, top

# Up to what error the kernels of a profile still say what the plain run does.
CLOSE = 1.25
# Half the plain run, or a fifth of it, that no kernel explains.
_MOST, _MUCH = 0.5, 0.2
# Less is what rounding makes.
_SEEN_MS = 0.0005


def paragraph(found: Summary) -> str:
    """The bottleneck of one profile."""
    op, most = next(iter(found.ops.items()))
    slowest = ", ".join(
        f"{layer.name} ({layer.ms:.3f} ms, {layer.share:.0%})" for layer in top(found, 3)
    )
    name, value = max(found.overhead_ms.items(), key=lambda item: item[1])
    parts = [
        f"{found.subject.label} ({found.subject.precision}) on {found.engine}: "
        f"{found.plain_ms:.3f} ms per inference without the profiler.",
        _bound(found),
        f"{op} takes {most.ms:.3f} ms ({most.share:.0%} of the profiled inference of "
        f"{found.run_ms:.3f} ms) in {most.launches} kernel{'s' * (most.launches > 1)}; the "
        f"slowest of all: {slowest}.",
        f"Outside kernels {found.run_ms - found.kernel_ms:.3f} ms of it pass "
        f"({found.overhead_share:.0%}, the profiler's own work included), most of it "
        f"{name if name.startswith('between') else f'in {name}'} ({value:.3f} ms).",
    ]
    if found.conversion_ms >= _SEEN_MS:
        kinds = ", ".join(name for name in found.ops if family(name) == "conversion")
        parts.append(
            f"Changing layout or data type alone ({kinds}) takes {found.conversion_ms:.3f} ms "
            f"({found.conversion_share:.1%})."
        )
    if found.gaps:
        widest = found.gaps[0]
        parts.append(
            f"The widest gap between two kernels, {1e3 * widest.ms:.1f} µs, lies after "
            f"{widest.after}."
        )
    parts.append(f"Profiling makes the median {found.profiling_ratio:.2f} times as long.")
    return " ".join(parts)


def against(pair: Comparison) -> str:
    """Where the first gains over the second, and where it loses."""
    first, second = pair.first, pair.second
    parts = [
        f"{first} takes {pair.first_plain_ms:.3f} ms, {second} {pair.second_plain_ms:.3f}: "
        f"{pair.second_plain_ms / pair.first_plain_ms:.2f} times as long (in turns, without the "
        "profiler)."
    ]
    groups = [group for group in pair.families.values() if abs(group.saved_ms) >= _SEEN_MS]
    gained = sorted((g for g in groups if g.saved_ms > 0), key=lambda group: -group.saved_ms)
    lost = sorted((g for g in groups if g.saved_ms < 0), key=lambda group: group.saved_ms)
    if gained:
        parts.append(f"Gained: {'; '.join(map(_change, gained))}.")
    if lost:
        parts.append(f"Lost: {'; '.join(map(_change, lost))}.")
    slower = sorted(
        (layer for layer in pair.layers if layer.saved_ms <= -_SEEN_MS),
        key=lambda layer: layer.saved_ms,
    )
    if slower:
        parts.append(
            f"{len(slower)} of {len(pair.layers)} matched layers are slower, most of all "
            + ", ".join(f"{layer.first} ({-layer.saved_ms:+.3f} ms)" for layer in slower[:3])
            + "."
        )
    return " ".join(parts)


def _change(group: Group) -> str:
    ratio = "" if group.ratio is None else f" ({group.ratio:.2f} times as fast)"
    return f"{group.title} {-group.saved_ms:+.3f} ms{ratio}"


def _bound(found: Summary) -> str:
    """Kernels or the framework, by how much of the plain loop kernels explain."""
    kernels = (
        f"{found.launches} kernels of {found.mean_kernel_us:.1f} µs on average add up to "
        f"{found.kernel_ms:.3f} ms"
    )
    if found.kernels_over_plain > CLOSE:
        return (
            f"{kernels}, {found.kernels_over_plain:.2f} times the plain run: profiling lengthens "
            "such short kernels, so read shares and not milliseconds; the framework's share cannot "
            "be told."
        )
    rest = f"{found.framework_ms:.3f} ms ({found.framework_share:.0%}) are the framework's"
    if found.framework_share >= _MOST:
        return f"The framework is the bottleneck: {kernels}, {rest}."
    if found.framework_share >= _MUCH:
        return f"Kernels take most, the framework much: {kernels}, {rest}."
    return f"The kernels are the bottleneck: {kernels}, {rest}."
