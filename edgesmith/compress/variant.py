"""What every step does before and after its own work: read the parent, store the child."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

import edgesmith.compress
import edgesmith.tasks
from edgesmith import files
from edgesmith.data.index import read_index
from edgesmith.errors import DataError, ModelError, ParamsError
from edgesmith.params import Augment, Params, ResizeVariant, Schedule, Variant
from edgesmith.preprocess import Float32Array, Preprocess
from edgesmith.tasks import store
from edgesmith.tasks.count import count
from edgesmith.tasks.learning import Data, Images, Teacher
from edgesmith.tasks.loop import History, Hooks, Objective, fit, set_up_torch
from edgesmith.tasks.predict import predict
from edgesmith.tasks.task import Task, boxes_of, task_of

MODELS = Path("models")
DATA = Path("data")
CHECKPOINTS = Path("tmp/checkpoints")


@dataclass(frozen=True)
class Work:
    """A variant in the making: its parameters, its parent's network, its own input and data."""

    name: str
    params: Params
    variant: Variant
    task: Task
    net: nn.Module
    parent: store.Card
    spec: Preprocess
    device: torch.device

    @cached_property
    def data(self) -> Data[Any]:
        """What it is trained and validated on, decoded on first use: not every step trains."""
        return Data(
            train=self.split("train"),
            val=self.split("val"),
            spec=self.spec,
            augment=self.params.datasets[self.variant.dataset].augment,
        )

    @property
    def schedule(self) -> Schedule:
        """The schedule that the variant names."""
        return self.params.schedules[self.variant.schedule]

    def teacher(self, temperature: float, alpha: float) -> Teacher | None:
        """The variant's teacher, ready to guide; None when alpha is 1 (hard labels alone)."""
        if alpha == 1:
            return None
        net, card = store.load(MODELS / self.variant.teacher)
        if card.labels != self.parent.labels:
            raise ModelError(
                f"params.yaml: variants.{self.name}.teacher: {self.variant.teacher} knows other "
                f"labels than {self.variant.parent}; name a teacher of the same dataset"
            )
        spec = card.network.input
        return Teacher(
            net.to(self.device), self.split("train", spec).images, spec, temperature, alpha
        )

    def split(self, name: str, spec: Preprocess | None = None) -> Images:
        """A split of the variant's dataset, fitted for its own network or as `spec` says."""
        return self.task.load_split(DATA / self.variant.dataset, name, spec or self.spec)

    def metric(self, outputs: Float32Array, split: Images) -> float:
        """The task's metric in [0, 1] of outputs for a split."""
        return self.task.metric(outputs, split, boxes_of(self.parent.network))

    def objective(
        self, schedule: Schedule, teacher: Teacher | None, *, plain: bool = False
    ) -> Objective:
        """What the variant is trained for; `plain` without augmentation."""
        data = replace(self.data, augment=Augment()) if plain else self.data
        boxes = boxes_of(self.parent.network)
        return self.task.objective(data, schedule, self.params.seed, boxes, teacher)

    def fit(
        self,
        net: nn.Module,
        *,
        phase: str = "train",
        schedule: Schedule | None = None,
        teacher: Teacher | None = None,
        hooks: Hooks | None = None,
    ) -> History:
        """Train `net` by the variant's schedule, resumable; see `loop.fit`.

        DataError when there is something to train but no image to train or to validate on.
        """
        schedule = schedule or self.schedule
        if schedule.epochs:
            for split, images in (("train", self.data.train), ("val", self.data.val)):
                if not len(images):
                    raise no_images(self.variant.dataset, split)
        return fit(
            net,
            self.objective(schedule, teacher),
            schedule,
            self.checkpoint(phase),
            title=self.name,
            hooks=hooks,
        )

    def checkpoint(self, phase: str) -> Path:
        """Where a phase's checkpoint lies: named by all inputs, so that no stale one is taken."""
        digest = hashlib.sha256()
        for package in (edgesmith.tasks, edgesmith.compress):
            for source in sorted(Path(package.__path__[0]).rglob("*.py")):
                digest.update(source.read_bytes())
        digest.update(self.variant.model_dump_json().encode())
        digest.update(self.schedule.model_dump_json().encode())
        digest.update(json.dumps([self.params.seed, self.params.build_threads]).encode())
        digest.update(torch.__version__.encode())
        for name in (self.variant.parent, self.variant.teacher):
            digest.update(files.sha256_folder(MODELS / name).encode())
        digest.update((DATA / self.variant.dataset / "dataset.json").read_bytes())
        return CHECKPOINTS / self.name / f"{digest.hexdigest()[:16]}-{phase}.pt"

    def finish(
        self,
        net: nn.Module,
        trained: dict[str, Any],
        *,
        simulated: nn.Module | None = None,
        batch_norm_folded: bool = False,
        precision: Literal["fp32", "fp16", "int8", "mixed"] = "fp32",
        write_more: Callable[[Path], None] | None = None,
    ) -> None:
        """Store the child: weights, card and outputs on the test split; drop the checkpoints.

        `simulated` is the graph whose outputs artifacts have to reproduce, where that is not `net`
        itself (quantized variants).
        """
        spec = self.spec
        params, macs = count(net, spec.height, spec.width)
        card = store.Card(
            name=self.name,
            task=self.parent.task,
            model=self.parent.model,
            network=self.parent.network.model_copy(update={"input": spec}),
            labels=self.parent.labels,
            layers=store.layers_of(net),
            batch_norm_folded=batch_norm_folded,
            precision=precision,
            parent=self.variant.parent,
            parent_sha256=files.sha256_folder(MODELS / self.variant.parent),
            step=self.variant.step,
            trained=trained,
            params=params,
            macs=macs,
        )
        outputs = predict(
            simulated if simulated is not None else net, self.split("test").images, spec
        )
        with files.output_folder(MODELS / self.name) as folder:
            store.save(folder, net, card)
            store.save_reference(folder, self._references(outputs))
            if write_more is not None:
                write_more(folder)
        shutil.rmtree(CHECKPOINTS / self.name, ignore_errors=True)

    def _references(self, outputs: Float32Array) -> dict[str, Float32Array]:
        """Outputs of this variant, of its parent and of the baseline of its chain.

        Without those from above where they are of another input size: their maps have other cells.
        """
        result = {"self": outputs}
        resized = self.spec != self.parent.network.input
        above = {} if resized else store.load_reference(MODELS / self.variant.parent)
        if self.variant.baseline == self.name:
            result["baseline"] = outputs
        elif "baseline" in above and self._inherits_baseline():
            result["baseline"] = above["baseline"]
        if "self" in above:
            result["parent"] = above["self"]
        return result

    def _inherits_baseline(self) -> bool:
        return self.params.variants[self.variant.parent].baseline == self.variant.baseline


def begin(name: str, params: Params) -> Work:
    """Read all that making variant `name` needs; errors name the key of `params.yaml` at fault."""
    if name not in params.variants:
        raise ParamsError(f"params.yaml: variants.{name} is not defined")
    variant = params.variants[name]
    device = set_up_torch(params.build_threads, params.seed)
    net, parent = store.load(MODELS / variant.parent)
    folder = DATA / variant.dataset
    index = read_index(folder)
    labels = index.labels
    if not index.counts["test"]:
        raise no_images(variant.dataset, "test")
    if labels != parent.labels:
        raise ModelError(
            f"params.yaml: variants.{name}.dataset: {variant.dataset} has {len(labels)} labels, "
            f"and {variant.parent} was made for {len(parent.labels)} others; "
            "use the dataset of the parent's model"
        )
    spec = parent.network.input
    if isinstance(variant, ResizeVariant):
        spec = spec.model_copy(update={"height": variant.size, "width": variant.size})
    return Work(name, params, variant, task_of(parent.task), net.to(device), parent, spec, device)


def no_images(dataset: str, split: str) -> DataError:
    """The error of a split that a step needs and the dataset leaves empty."""
    return DataError(
        f"{DATA / dataset}: its {split} split has no image; "
        f"give params.yaml: datasets.{dataset}.{split} a number, or 0 for all there are"
    )


def wrong_step(work: Work, expected: str) -> ParamsError:
    """The error of a stage that was called for a variant of another step."""
    return ParamsError(
        f"params.yaml: variants.{work.name}.step is {work.variant.step}, not {expected}; "
        f"run `python -m stages.{work.variant.step} {work.name}`"
    )
