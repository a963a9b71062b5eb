"""Names of a plot's points, placed so that they can be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox


class Label(NamedTuple):
    """A point in the units of its axes, and its name."""

    x: float
    y: float
    text: str
    colour: str = "black"


def place(figure: Figure, axes: Axes, labels: Iterable[Label]) -> None:
    """Names beside the points, moved up where two would cover each other."""
    figure.draw_without_rendering()  # the layout decides where the points are
    frame = axes.get_window_extent()
    taken: list[Bbox] = []
    for name in sorted(labels, key=lambda name: name.y):
        x, y = axes.transData.transform((name.x, name.y))
        label = axes.annotate(
            name.text,
            (name.x, name.y),
            xytext=(0, 0),
            textcoords="figure pixels",
            fontsize=7,
            color=name.colour,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6},
        )
        label.set_path_effects([withStroke(linewidth=2, foreground="white")])
        size = Text.get_window_extent(label)  # an annotation's own includes its arrow
        left = x + 16 if x + 16 + size.width < frame.x1 else x - 16 - size.width
        box = Bbox.from_bounds(left, y - size.height / 2, size.width, size.height)
        for other in sorted(taken, key=lambda other: other.y0):
            if box.overlaps(other):
                box = Bbox.from_bounds(left, other.y1 + 1, size.width, size.height)
        taken.append(box)
        label.set_position((box.x0, box.y0))
