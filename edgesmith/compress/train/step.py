"""The step `train`: hard labels, from the parent's weights on."""

from __future__ import annotations

from edgesmith.compress.variant import Work, wrong_step
from edgesmith.params import TrainVariant


def train(work: Work) -> None:
    """Train the parent's network by the variant's schedule and store it."""
    if not isinstance(work.variant, TrainVariant):
        raise wrong_step(work, "train")
    history = work.fit(work.net)
    work.finish(work.net, {"schedule": work.schedule.model_dump(), **vars(history)})
