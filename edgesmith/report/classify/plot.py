"""A classifier's confusions as a picture."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from edgesmith.preprocess import Float32Array

_INCHES_PER_CLASS = 0.28
# Names stop being readable somewhere; a thousand classes are a texture.
_NAMED_CLASSES = 60


def confusion_png(
    logits: Float32Array, labels: npt.NDArray[np.int64], names: list[str], title: str
) -> bytes:
    """PNG: for each true class (row) the share of its images that each class (column) was given.

    `logits` (N, classes), `labels` (N,). The same numbers give the same bytes.
    """
    classes = len(names)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    edge = min(14.0, max(4.0, 2.0 + _INCHES_PER_CLASS * classes))
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(edge, edge), dpi=100, layout="constrained")
        axes = figure.subplots()
        # The square root: one confusion in a hundred is still seen beside the diagonal.
        axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
        axes.set(title=title, xlabel="given", ylabel="true")
        if classes <= _NAMED_CLASSES:
            axes.set_xticks(range(classes), names, rotation=90, fontsize=7)
            axes.set_yticks(range(classes), names, fontsize=7)
            for row, column in zip(*np.nonzero(counts), strict=True):
                shade = "white" if shares[row, column] > 0.4 else "black"
                text = f"{counts[row, column]:.0f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=6, color=shade)
        stream = io.BytesIO()
        # Without a fixed value matplotlib writes its version, and the file differs between hosts.
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
