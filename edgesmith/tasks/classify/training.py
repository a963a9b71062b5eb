"""The training loop that every step of the chain uses: train, distill, fine-tune, QAT."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from edgesmith.data import augment
from edgesmith.data.store import Split
from edgesmith.params import Augment, Schedule
from edgesmith.preprocess import Preprocess, UInt8Array, normalise

Float32Array = npt.NDArray[np.float32]


def set_up_torch(threads: int, seed: int) -> torch.device:
    """Seed torch, fix its threads and ask for deterministic kernels; the device to train on.

    Two runs on one machine give the same bits. Another CPU family or thread count adds in another
    order, so its weights differ in the last bits.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # A debugging aid that comes with it: a tenth of a step goes into filling every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Data:
    """The images that a network learns from, at its own input size."""

    train: Split
    val: Split
    spec: Preprocess
    augment: Augment


@dataclass(frozen=True)
class Teacher:
    """A frozen network whose soft targets guide the student (Hinton et al., 2015).

    `images` are the student's training images at the teacher's input size, (N, H, W, 3) uint8.
    """

    net: nn.Module
    images: UInt8Array
    spec: Preprocess
    temperature: float
    alpha: float


@dataclass(frozen=True)
class Hooks:
    """What a step adds to the loop."""

    mode: Callable[[nn.Module, bool], object] = lambda net, training: net.train(training)
    before_step: Callable[[float], None] = lambda progress: None
    after_step: Callable[[], None] = lambda: None


@dataclass
class History:
    """Validation accuracy after each epoch, and the epoch whose weights were kept (from 1)."""

    val_accuracy: list[float] = field(default_factory=list)
    best_epoch: int = 0


def fit(
    net: nn.Module,
    data: Data,
    schedule: Schedule,
    seed: int,
    checkpoint: Path,
    *,
    title: str,
    teacher: Teacher | None = None,
    hooks: Hooks | None = None,
) -> History:
    """Train `net` in place and leave it with the weights of its best epoch on `data.val`.

    After each epoch the whole state goes to `checkpoint` (renamed into place); a run that finds it
    goes on from there with the same random numbers, so a killed run ends with the same weights.
    The caller removes the file once the result is stored.
    """
    hooks = hooks or Hooks()
    device = next(net.parameters()).device
    channels_last(net)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = _optimizer(net, schedule)
    batches = max(1, len(data.train.labels) // schedule.batch)
    total = max(1, schedule.epochs * batches)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _one_cycle(step / total, schedule.warmup_share)
    )
    ema = (
        AveragedModel(
            net,
            multi_avg_fn=get_ema_multi_avg_fn(schedule.ema),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        if schedule.ema
        else None
    )
    state = _State(net, ema, optimizer, rates)
    state.resume(checkpoint)
    fixed = _fixed_targets(teacher, data) if teacher is not None else None

    for epoch in range(len(state.history.val_accuracy), schedule.epochs):
        hooks.mode(net, True)
        progress = tqdm(
            _batches(data, teacher, schedule.batch, seed, epoch),
            total=batches,
            desc=f"{title} epoch {epoch + 1}/{schedule.epochs}",
            mininterval=2,
        )
        running = 0.0
        for number, (chosen, images, guide) in enumerate(progress):
            hooks.before_step((epoch * batches + number) / total)
            labels = torch.from_numpy(data.train.labels[chosen]).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=schedule.mixed_precision):
                logits = net(_tensor(images, device))
                loss = F.cross_entropy(
                    logits.float(), labels, label_smoothing=schedule.label_smoothing
                )
                if teacher is not None:
                    target = (
                        fixed[chosen]
                        if fixed is not None
                        else _teacher_logits(teacher, guide, device)
                    )
                    loss = mix_with_soft_targets(
                        loss, logits.float(), target.to(device), teacher.temperature, teacher.alpha
                    )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if schedule.clip_norm:
                nn.utils.clip_grad_norm_(parameters, schedule.clip_norm)
            optimizer.step()
            rates.step()
            hooks.after_step()
            if ema is not None:
                ema.update_parameters(net)
            running += (loss.item() - running) / (number + 1)
            progress.set_postfix(loss=f"{running:.3f}", refresh=False)
        measured = ema.module if ema is not None else net
        hooks.mode(measured, False)
        logits = predict(measured, data.val.images, data.spec)
        accuracy = float((logits.argmax(1) == data.val.labels).mean())
        progress.write(f"{title} epoch {epoch + 1}: loss {running:.3f}, val top-1 {accuracy:.4f}")
        state.record(measured, accuracy)
        state.save(checkpoint)
    if state.best is not None:
        net.load_state_dict(state.best)
    hooks.mode(net, False)
    return state.history


def mix_with_soft_targets(
    hard: torch.Tensor,
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    temperature: float,
    alpha: float,
) -> torch.Tensor:
    """Return alpha * hard + (1 - alpha) * T^2 * KL(teacher || student), both softened by T.

    `logits` and `teacher_logits` are (N, classes); the KL is the mean over N. T^2 keeps the soft
    gradients' size independent of T (Hinton et al., 2015, §2.1).
    """
    soft = F.kl_div(
        F.log_softmax(logits / temperature, dim=1),
        F.log_softmax(teacher_logits / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return alpha * hard + (1 - alpha) * temperature**2 * soft


@torch.no_grad()
def predict(net: nn.Module, images: UInt8Array, spec: Preprocess, batch: int = 64) -> Float32Array:
    """Logits (N, classes) float32 of (N, H, W, 3) uint8 images; `net` is in eval mode already."""
    parameter = next(net.parameters())
    parts = []
    for begin in range(0, len(images), batch):
        inputs = _tensor(normalise(images[begin : begin + batch], spec), parameter.device)
        parts.append(net(inputs.to(parameter.dtype)).float().cpu().numpy())
    return np.concatenate(parts)


def channels_last(net: nn.Module) -> None:
    """Store 4-D weights channels-last: twice as fast for depthwise convolutions on x86 CPUs."""
    for parameter in net.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


class _State:
    """Everything that a resumed run needs to go on as if it had not been killed."""

    def __init__(
        self,
        net: nn.Module,
        ema: AveragedModel | None,
        optimizer: torch.optim.Optimizer,
        rates: torch.optim.lr_scheduler.LambdaLR,
    ) -> None:
        self.parts: dict[str, Any] = {"net": net, "optimizer": optimizer, "rates": rates}
        if ema is not None:
            self.parts["ema"] = ema
        self.history = History()
        self.best: dict[str, torch.Tensor] | None = None

    def record(self, measured: nn.Module, accuracy: float) -> None:
        """Note an epoch's accuracy; keep its weights when it is the best, the later of equals."""
        best = max(self.history.val_accuracy, default=-1.0)
        self.history.val_accuracy.append(accuracy)
        if accuracy >= best:
            self.best = {name: t.detach().clone() for name, t in measured.state_dict().items()}
            self.history.best_epoch = len(self.history.val_accuracy)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        content = {name: part.state_dict() for name, part in self.parts.items()}
        content |= {
            "history": vars(self.history),
            "best": self.best,
            "random": torch.get_rng_state(),
        }
        torch.save(content, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        if not path.exists():
            return
        content = torch.load(path, weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        self.history = History(**content["history"])
        self.best = content["best"]
        torch.set_rng_state(content["random"])
        tqdm.write(f"going on after epoch {len(self.history.val_accuracy)}: {path}")


def _optimizer(net: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Weight decay on weights alone: on biases and normalisation it only costs accuracy."""
    decayed = [p for p in net.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in net.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": schedule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=schedule.learning_rate, momentum=0.9, nesterov=True)
    # One pass over the parameters: 3-9 % of a MobileNetV2 step on two cores.
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=True)


def _one_cycle(progress: float, warmup: float) -> float:
    """Share of the learning rate: linear warm-up, then half a cosine to zero."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


Batch = tuple[npt.NDArray[np.int64], Float32Array, Float32Array | None]


def _batches(
    data: Data, teacher: Teacher | None, batch: int, seed: int, epoch: int
) -> Iterator[Batch]:
    """One epoch of (indices, inputs, teacher inputs), each prepared while the last one trains."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(data.train.labels))
    count = max(1, len(order) // batch)
    # Drawn here, in order: what a batch looks like must not depend on threads.
    plan = []
    for number in range(count):
        chosen = order[number * batch : (number + 1) * batch]
        plan.append((chosen, augment.draw(rng, len(chosen), data.augment)))
    guided = teacher is not None and _augments(data.augment)

    def make(chosen: npt.NDArray[np.int64], changes: augment.Changes) -> Batch:
        images = normalise(augment.apply(data.train.images[chosen], changes), data.spec)
        if not guided or teacher is None:
            return chosen, images, None
        same = augment.apply(teacher.images[chosen], changes)
        return chosen, images, normalise(same, teacher.spec)

    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(make, *plan[0])
        for following in plan[1:]:
            ready = upcoming.result()
            upcoming = pool.submit(make, *following)
            yield ready
        yield upcoming.result()


def _augments(rule: Augment) -> bool:
    return rule != Augment()


def _fixed_targets(teacher: Teacher, data: Data) -> torch.Tensor | None:
    """The teacher's logits of all training images, once, where no augmentation changes them."""
    if _augments(data.augment):
        return None
    return torch.from_numpy(predict(teacher.net, teacher.images, teacher.spec))


@torch.no_grad()
def _teacher_logits(
    teacher: Teacher, images: Float32Array | None, device: torch.device
) -> torch.Tensor:
    if images is None:
        raise ValueError("a teacher needs its inputs")
    logits: torch.Tensor = teacher.net(_tensor(images, device))
    return logits.float()


def _tensor(images: Float32Array, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(images).to(device).contiguous(memory_format=torch.channels_last)
