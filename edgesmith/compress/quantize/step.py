"""The step `quantize`: calibrate ranges (PTQ), or learn them with the weights (QAT)."""

from __future__ import annotations

from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e import move_exported_model_to_eval, move_exported_model_to_train

from edgesmith import files
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import (
    calibrate,
    give_ranges,
    read_ranges,
    read_weight_scales,
    set_stage,
    simulate,
)
from edgesmith.compress.variant import DATA, Work, no_images, wrong_step
from edgesmith.data.store import load_split
from edgesmith.errors import ModelError
from edgesmith.params import QuantizeVariant
from edgesmith.preprocess import UInt8Array
from edgesmith.tasks.classify.fold import conv_norm_pairs, fold_batch_norm
from edgesmith.tasks.classify.training import History, Hooks


def quantize(work: Work) -> None:
    """Fold the parent's batch normalisation, find ranges, train with them for QAT, and store all.

    What is stored are float weights without normalisation layers and `quantization.json`; every
    format rounds those weights and renders those ranges.
    """
    variant = work.variant
    if not isinstance(variant, QuantizeVariant):
        raise wrong_step(work, "quantize")
    if work.parent.precision != "fp32":
        raise ModelError(
            f"params.yaml: variants.{work.name}.parent: {variant.parent} is "
            f"{work.parent.precision} already; quantize an fp32 variant"
        )
    net, spec = work.net, work.data.spec
    calibration = load_split(DATA / variant.dataset, "calibration", spec)
    if not len(calibration):
        raise no_images(variant.dataset, "calibration")
    histories, learned = [], None
    epochs = work.schedule.epochs if variant.method == "qat" else 0
    live = round(epochs * variant.freeze_batch_norm)
    if live and not work.parent.batch_norm_folded:
        learned, history = _learn_with_live_norm(work, variant, calibration.images, live)
        histories.append(vars(history))
    if not work.parent.batch_norm_folded:
        fold_batch_norm(net, conv_norm_pairs(net, spec.height, spec.width))
    graph = simulate(net.eval(), spec, variant.scheme)
    if learned is None:
        calibrate(graph, calibration.images, spec, variant.observer, variant.percentile)
    else:
        give_ranges(graph, learned)
    if epochs - live > 0:
        histories.append(vars(_learn(work, variant, graph, epochs - live)))
        _take_weights(net, graph)
    found = ranges.Quantization(
        method=variant.method,
        scheme=variant.scheme,
        observer=variant.observer,
        images=len(calibration.labels),
        activations=read_ranges(graph),
        weights=read_weight_scales(graph),
    )
    work.finish(
        net,
        {"schedule": work.schedule.model_dump(), "phases": histories} if histories else {},
        simulated=graph,
        batch_norm_folded=True,
        precision="int8",
        write_more=lambda folder: files.write_json(
            folder / ranges.FILE, found.model_dump(mode="json")
        ),
    )


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
    work: Work, variant: QuantizeVariant, calibration: UInt8Array, epochs: int
) -> tuple[dict[str, ranges.Range], History]:
    """The first epochs of QAT, in which batch statistics still adapt to the rounding.

    Leaves the weights and statistics in `work.net`; returns the ranges learned so far.
    """
    graph = simulate(work.net.train(), work.data.spec, variant.scheme)

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
    _take_weights(work.net, graph)
    return read_ranges(graph), history


def _take_weights(net: nn.Module, graph: GraphModule) -> None:
    """Copy what the graph has learned back into the network that it was traced from."""
    learned = graph.state_dict()
    net.load_state_dict({name: learned[name] for name in net.state_dict()})
