"""The training loop that every step of the chain uses: train, distill, fine-tune, QAT."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from edgesmith.params import Schedule


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
class Hooks:
    """What a step adds to the loop."""

    mode: Callable[[nn.Module, bool], object] = lambda net, training: net.train(training)
    before_step: Callable[[float], None] = lambda progress: None
    after_step: Callable[[], None] = lambda: None


@dataclass
class History:
    """The task's metric on val after each epoch, and the epoch whose weights were kept (from 1)."""

    val_metric: list[float] = field(default_factory=list)
    best_epoch: int = 0


class Objective(Protocol):
    """What a network is trained for: batches, their loss, and a metric to keep the best epoch by.

    `batches` is how many an epoch has, `metric` the name of what `measure` gives.
    """

    batches: int
    metric: str

    def epoch(self, number: int) -> Iterator[Any]:
        """The batches of an epoch (from 0), the same in every run."""
        ...

    def loss(self, net: nn.Module, batch: Any, progress: float) -> torch.Tensor:
        """The loss of one batch, a scalar; `progress` is the share of training that is done."""
        ...

    def measure(self, net: nn.Module) -> float:
        """The metric of a network in eval mode on the val split, in [0, 1]; more is better."""
        ...


def fit(
    net: nn.Module,
    objective: Objective,
    schedule: Schedule,
    checkpoint: Path,
    *,
    title: str,
    hooks: Hooks | None = None,
) -> History:
    """Train `net` in place and leave it with the weights of its best epoch.

    After each epoch the whole state goes to `checkpoint` (renamed into place); a run that finds it
    goes on from there with the same random numbers, so a killed run ends with the same weights.
    The caller removes the file once the result is stored.
    """
    hooks = hooks or Hooks()
    device = next(net.parameters()).device
    channels_last(net)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = _optimizer(net, schedule)
    batches = objective.batches
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

    for epoch in range(len(state.history.val_metric), schedule.epochs):
        hooks.mode(net, True)
        bar = tqdm(
            objective.epoch(epoch),
            total=batches,
            desc=f"{title} epoch {epoch + 1}/{schedule.epochs}",
            mininterval=2,
        )
        running = 0.0
        for number, batch in enumerate(bar):
            progress = (epoch * batches + number) / total
            hooks.before_step(progress)
            with torch.autocast(device.type, torch.bfloat16, enabled=schedule.mixed_precision):
                loss = objective.loss(net, batch, progress)
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
            bar.set_postfix(loss=f"{running:.3f}", refresh=False)
        measured = ema.module if ema is not None else net
        hooks.mode(measured, False)
        metric = objective.measure(measured)
        bar.write(
            f"{title} epoch {epoch + 1}: loss {running:.3f}, val {objective.metric} {metric:.4f}"
        )
        state.record(measured, metric)
        state.save(checkpoint)
    if state.best is not None:
        net.load_state_dict(state.best)
    hooks.mode(net, False)
    return state.history


def channels_last(net: nn.Module) -> None:
    """Store 4-D weights channels-last: twice as fast for depthwise convolutions on x86 CPUs."""
    for parameter in net.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


Prepared = TypeVar("Prepared")


def one_ahead(tasks: Sequence[Callable[[], Prepared]]) -> Iterator[Prepared]:
    """Results of `tasks` in order, each computed in a thread while the one before is used."""
    if not tasks:
        return
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(tasks[0])
        for following in tasks[1:]:
            ready = upcoming.result()
            upcoming = pool.submit(following)
            yield ready
        yield upcoming.result()


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

    def record(self, measured: nn.Module, metric: float) -> None:
        """Note an epoch's metric; keep its weights when it is the best, the later of equals."""
        best = max(self.history.val_metric, default=-1.0)
        self.history.val_metric.append(metric)
        if metric >= best:
            self.best = {name: t.detach().clone() for name, t in measured.state_dict().items()}
            self.history.best_epoch = len(self.history.val_metric)

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
        tqdm.write(f"going on after epoch {len(self.history.val_metric)}: {path}")


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
