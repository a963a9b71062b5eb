"""Ranges that are learned with the weights: quantization-aware training (QAT)."""

from __future__ import annotations

from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e import move_exported_model_to_eval, move_exported_model_to_train

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import (
    calibrate,
    give_ranges,
    read_ranges,
    set_stage,
    simulate,
)
from edgesmith.compress.quantize.mixed import input_keys, leave_float, matching
from edgesmith.compress.quantize.quantized import Quantized, take_weights
from edgesmith.compress.variant import Work
from edgesmith.params import QuantizeVariant
from edgesmith.preprocess import UInt8Array
from edgesmith.tasks import store
from edgesmith.tasks.loop import History, Hooks


def learn(
    work: Work, variant: QuantizeVariant, net: nn.Module, calibration: UInt8Array
) -> Quantized:
    """Train `net`, the parent's network, in place, and the ranges with it; both are resumable.

    It starts from ranges of the calibration images, (N, H, W, 3) uint8. Without epochs in the
    schedule these are the result.
    """
    spec, epochs = work.data.spec, work.schedule.epochs
    histories, learned = [], None
    live = round(epochs * variant.freeze_batch_norm)
    if live and not work.parent.batch_norm_folded:
        learned, history = _learn_with_live_norm(work, variant, net, calibration, live)
        histories.append(vars(history))
    fold(work, net)
    graph, kept = simulated(work, variant, net.eval())
    if learned is None:
        calibrate(graph, calibration, spec, variant.observer, variant.percentile)
    else:
        give_ranges(graph, learned)
    if epochs - live > 0:
        histories.append(vars(_learn(work, variant, graph, epochs - live)))
        take_weights(net, graph)
    return Quantized(net, graph, "qat", variant.observer, histories, kept)


def simulated(
    work: Work, variant: QuantizeVariant, net: nn.Module
) -> tuple[GraphModule, list[str]]:
    """The simulated graph of `net` without ranges, and what `keep_float` leaves float in it."""
    graph = simulate(net, work.data.spec, variant.scheme)
    where = f"variants.{work.name}.keep_float"
    kept = matching(variant.keep_float, input_keys(graph), where)
    leave_float(graph, kept)
    return graph, kept


def fold(work: Work, net: nn.Module) -> None:
    """Fold batch normalisation, if the parent still has it."""
    if not work.parent.batch_norm_folded:
        store.fold(net, work.parent)


def _learn(work: Work, variant: QuantizeVariant, graph: GraphModule, epochs: int) -> History:
    """Train the folded network through the simulated rounding; freeze the ranges late."""

    def before_step(progress: float) -> None:
        set_stage(graph, "average" if progress < variant.freeze_observers else "fixed")

    def mode(_: object, training: bool) -> None:
        # Traced in eval mode: nothing in the graph depends on the mode but the ranges.
        if not training:
            set_stage(graph, "fixed")

    return work.fit(
        graph,
        phase="frozen-norm",
        schedule=work.schedule.model_copy(update={"epochs": epochs}),
        teacher=work.teacher(variant.temperature, variant.alpha),
        hooks=Hooks(mode=mode, before_step=before_step),
    )


def _learn_with_live_norm(
    work: Work, variant: QuantizeVariant, net: nn.Module, calibration: UInt8Array, epochs: int
) -> tuple[dict[str, ranges.Range], History]:
    """The first epochs of QAT, in which batch statistics still adapt to the rounding.

    Leaves the weights and statistics in `net`; returns the ranges learned so far.
    """
    graph, _ = simulated(work, variant, net.train())

    def mode(_: object, training: bool) -> None:
        set_stage(graph, "average" if training else "fixed")
        (move_exported_model_to_train if training else move_exported_model_to_eval)(graph)

    mode(graph, False)
    calibrate(graph, calibration, work.data.spec, variant.observer, variant.percentile)
    history = work.fit(
        graph,
        phase="live-norm",
        schedule=work.schedule.model_copy(update={"epochs": epochs}),
        teacher=work.teacher(variant.temperature, variant.alpha),
        hooks=Hooks(mode=mode),
    )
    take_weights(net, graph)
    return read_ranges(graph), history
