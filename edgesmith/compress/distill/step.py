"""The step `distill`: a teacher's soft targets beside the labels (Hinton et al., 2015)."""

from __future__ import annotations

from edgesmith.compress.variant import Work, wrong_step
from edgesmith.params import DistillVariant
from edgesmith.tasks.count import count
from edgesmith.tasks.predict import predict


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
        val = work.split("val", teacher.spec)
        trained["teacher"] = {
            "name": variant.teacher,
            "val_metric": work.metric(predict(teacher.net, val.images, teacher.spec), val),
            "params": params,
            "macs": macs,
        }
    work.finish(work.net, trained)
