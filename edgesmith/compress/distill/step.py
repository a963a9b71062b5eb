"""The step `distill`: a teacher's soft targets beside the labels (Hinton et al., 2015)."""

from __future__ import annotations

from edgesmith.compress.variant import DATA, Work, wrong_step
from edgesmith.data.store import load_split
from edgesmith.params import DistillVariant
from edgesmith.tasks.classify.networks import count
from edgesmith.tasks.classify.training import predict


def distill(work: Work) -> None:
    """Train the parent's network on labels and soft targets; store it and the teacher's figures."""
    if not isinstance(work.variant, DistillVariant):
        raise wrong_step(work, "distill")
    variant = work.variant
    teacher = work.teacher(variant.temperature, variant.alpha)
    history = work.fit(work.net, teacher=teacher)
    trained = {"schedule": work.schedule.model_dump(), **vars(history)}
    if teacher is not None:
        params, macs = count(teacher.net, teacher.spec.height, teacher.spec.width)
        val = load_split(DATA / variant.dataset, "val", teacher.spec)
        right = predict(teacher.net, val.images, teacher.spec).argmax(1) == val.labels
        trained["teacher"] = {
            "name": variant.teacher,
            "val_accuracy": float(right.mean()),
            "params": params,
            "macs": macs,
        }
    work.finish(work.net, trained)
