"""The step `prune`: remove channels (or zero weights) in rounds, and fine-tune after each.

Structured pruning follows the dependency graph of Fang et al., 2023 (DepGraph, arXiv:2301.12900):
channels that residual additions, depthwise convolutions or concatenations tie together go together,
and are taken out of the tensors, so that every runtime gains without knowing of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
import torch_pruning as tp
from torch import nn

from edgesmith.compress.variant import Work, wrong_step
from edgesmith.errors import ModelError
from edgesmith.params import PruneVariant
from edgesmith.tasks.count import count
from edgesmith.tasks.fold import shown_whole
from edgesmith.tasks.loop import Hooks, channels_last

Masks = dict[torch.Tensor, torch.Tensor]


def prune(work: Work) -> None:
    """Prune the parent's network in `rounds`, fine-tune after each, and store it."""
    variant = work.variant
    if not isinstance(variant, PruneVariant):
        raise wrong_step(work, "prune")
    if work.parent.batch_norm_folded:
        raise ModelError(
            f"params.yaml: variants.{work.name}.parent: {variant.parent} has folded batch "
            f"normalisation ({work.parent.precision}); prune first, then quantize or cast"
        )
    net, spec = work.net, work.data.spec
    before = count(net, spec.height, spec.width)
    teacher = work.teacher(variant.temperature, variant.alpha)
    epochs = _share_epochs(work.schedule.epochs, variant.rounds)
    structured = _Structured(work, variant) if variant.sparsity == "structured" else None
    histories = []
    for number in range(variant.rounds):
        hooks = Hooks()
        if structured is not None:
            structured.step()
        else:
            masks = magnitude_masks(
                net,
                variant.ratio * (number + 1) / variant.rounds,
                variant.sparsity,
                work.task.fixed_channels(net),
            )
            hooks = Hooks(after_step=lambda masks=masks: apply_masks(masks))  # type: ignore[misc]
            apply_masks(masks)
        schedule = work.schedule.model_copy(update={"epochs": epochs[number]})
        history = work.fit(
            net, phase=f"round-{number + 1}", schedule=schedule, teacher=teacher, hooks=hooks
        )
        histories.append(vars(history))
    after = count(net, spec.height, spec.width)
    work.finish(
        net,
        {
            "schedule": work.schedule.model_dump(),
            "rounds": histories,
            "params_removed": 1 - after[0] / before[0],
            "macs_removed": 1 - after[1] / before[1],
        },
    )


class _Structured:
    """Channel pruning in steps that together reach the variant's ratio."""

    def __init__(self, work: Work, variant: PruneVariant) -> None:
        self.work = work
        self.taylor = variant.importance == "taylor"
        importance = (
            tp.importance.GroupTaylorImportance()
            if self.taylor
            else tp.importance.GroupMagnitudeImportance(p=int(variant.importance[1]))
        )
        spec = work.data.spec
        work.net.eval()
        with shown_whole(work.net):
            self.pruner = tp.pruner.BasePruner(
                work.net,
                torch.zeros(1, 3, spec.height, spec.width, device=work.device),
                importance=importance,
                global_pruning=variant.scope == "global",
                pruning_ratio=variant.ratio,
                pruning_ratio_dict=(
                    _nearest_ratios(work.net, variant) if variant.scope == "per-layer" else None
                ),
                max_pruning_ratio=variant.max_ratio,
                iterative_steps=variant.rounds,
                round_to=variant.round_to,
                ignored_layers=list(work.task.fixed_channels(work.net)),
            )

    def step(self) -> None:
        """Take out this round's channels."""
        if self.taylor:
            self._accumulate_gradients()
        self.pruner.step()
        self.work.net.zero_grad(set_to_none=True)
        channels_last(self.work.net)

    def _accumulate_gradients(self, images: int = 256) -> None:
        """Gradients of the loss on training images, for Taylor importance."""
        work = self.work
        work.net.eval()
        work.net.zero_grad()
        objective = work.objective(work.schedule, None, plain=True)
        seen = 0
        for batch in objective.epoch(0):
            objective.loss(work.net, batch, 0.0).backward()  # type: ignore[no-untyped-call]
            seen += work.schedule.batch
            if seen >= images:
                break


def _nearest_ratios(net: nn.Module, variant: PruneVariant) -> dict[nn.Module, float]:
    """Ratios that leave each layer the multiple of `round_to` nearest to what was asked.

    The pruner itself rounds channel counts down: 30 % of 32 channels would be half of them.
    """
    ratios: dict[nn.Module, float] = {}
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            channels, multiple = module.out_channels, variant.round_to
            left = max(1, math.floor(channels * (1 - variant.ratio) / multiple + 0.5)) * multiple
            # A hair less, so that the pruner's own arithmetic does not round below `left`.
            ratios[module] = (channels - min(left, channels)) / channels - 1e-6
    return ratios


def magnitude_masks(
    net: nn.Module, ratio: float, pattern: str, spared: Collection[nn.Module]
) -> Masks:
    """Masks (1 keeps, 0 removes) for every convolution and linear weight but those in `spared`.

    `unstructured` removes the `ratio` smallest weights of each layer; `2:4` removes two of every
    four neighbours along the flattened input dimension (Mishra et al., 2021, arXiv:2104.08378),
    whatever the ratio, and leaves layers alone whose inputs do not divide by four.
    """
    masks: Masks = {}
    for module in net.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear) or module in spared:
            continue
        weight = module.weight
        size = weight.detach().abs()
        if pattern == "2:4":
            if weight[0].numel() % 4:
                continue
            fours = size.contiguous().reshape(-1, 4)
            keep = torch.zeros_like(fours).scatter_(1, fours.topk(2, dim=1).indices, 1.0)
            masks[weight] = keep.reshape(weight.shape)
        else:
            removed = int(ratio * weight.numel())
            if removed:
                threshold = size.flatten().kthvalue(removed).values
                masks[weight] = (size > threshold).to(weight.dtype)
    return masks


def apply_masks(masks: Masks) -> None:
    """Set masked weights to zero; called after each optimizer step."""
    with torch.no_grad():
        for weight, mask in masks.items():
            weight.mul_(mask)


def _share_epochs(epochs: int, rounds: int) -> list[int]:
    """Epochs of each round: equal, the rest to the last rounds, where the network is smallest."""
    base, rest = divmod(epochs, rounds)
    return [base + (number >= rounds - rest) for number in range(rounds)]
