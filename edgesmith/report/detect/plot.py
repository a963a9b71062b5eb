"""Precision over recall of detectors, as one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from edgesmith.decode.detect import Detections
from edgesmith.scoring.detect import RECALLS, Truth, match, precision_at_recall

# Curves that coincide, as those of one network's formats should, are told apart by their dashes.
_DASHES = ("-", "--", ":", "-.")


def pr_plot(
    found: Mapping[str, Sequence[Detections]],
    truth: Sequence[Truth],
    classes: int,
    title: str,
) -> bytes:
    """PNG of precision over recall at IoU 0.5, a curve for each name in `found`.

    The curves are the mean over the classes that have an object, interpolated as COCO does, so
    that the area below one is its AP50. The same detections give the same bytes.
    """
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(6.5, 5.5), dpi=110, layout="constrained")
        axes = figure.subplots()
        for number, (name, detections) in enumerate(found.items()):
            precision = precision_at_recall(match(detections, truth, classes))
            axes.plot(
                RECALLS,
                precision,
                linestyle=_DASHES[number % len(_DASHES)],
                label=f"{name}: AP50 {100 * precision.mean():.1f} %",
            )
        objects = sum(len(image.classes) for image in truth)
        axes.set_title(f"{title}: {objects} objects in {len(truth)} images")
        axes.set(xlabel="recall", ylabel="precision (IoU ≥ 0.5, mean of classes)")
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left")
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
