"""The method `ladder`: the cheapest quantization that keeps the accuracy, cheapest first.

Rungs: `ptq` (min-max ranges), `equalised` (equalise.py), `bias-corrected` (bias.py), `percentile`
and `mse` (other ranges), `mixed-1` … (the most sensitive layers stay float, one more each), `qat`.
A rung builds on those before it, but for what did not raise the signal-to-noise ratio of the
logits: that is not carried on. QAT starts from the parent, as the method `qat` does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch.fx import GraphModule

from edgesmith.compress.quantize import rungs, sensitivity
from edgesmith.compress.quantize.bias import correct_biases
from edgesmith.compress.quantize.equalise import equalise
from edgesmith.compress.quantize.fidelity import fidelity
from edgesmith.compress.quantize.graph import (
    calibrate,
    evenly,
    give_ranges,
    read_ranges,
    simulate,
)
from edgesmith.compress.quantize.learned import fold, learn
from edgesmith.compress.quantize.mixed import leave_float
from edgesmith.compress.quantize.quantized import Quantized, take_weights
from edgesmith.compress.quantize.ranges import Range
from edgesmith.compress.quantize.rungs import Ladder, Rung
from edgesmith.compress.variant import Work, no_images
from edgesmith.errors import QuantizeError
from edgesmith.params import QuantizeVariant
from edgesmith.preprocess import Float32Array, UInt8Array
from edgesmith.tasks.predict import predict

# Enough to rank layers: 64 and 256 images put the same ten of MobileNetV2 (signs) first.
_RANKING_IMAGES = 64

Weights = dict[str, torch.Tensor]


def climb(work: Work, variant: QuantizeVariant, calibration: UInt8Array) -> Quantized:
    """The first rung whose accuracy on the val split is at most `max_drop` below FP32's.

    `calibration` are (N, H, W, 3) uint8. Raises DataError without val images, QuantizeError with
    the figures of every rung when none is good enough.
    """
    if not len(work.data.val):
        raise no_images(variant.dataset, "val")
    return _Climb(work, variant, calibration).run()


@dataclass(frozen=True)
class _Standing:
    """Weights and ranges, whether biases were then corrected, and the SQNR that this gave."""

    weights: Weights
    ranges: dict[str, Range]
    observer: str
    corrected: bool
    sqnr_db: float


class _Climb:
    """One graph, given weights and ranges of one rung after another, and what was measured."""

    def __init__(self, work: Work, variant: QuantizeVariant, calibration: UInt8Array) -> None:
        self.work, self.variant, self.calibration = work, variant, calibration
        self.spec, self.val = work.data.spec, work.data.val
        # QAT may want batch normalisation alive.
        self.parent = copy.deepcopy(work.net)
        fold(work, work.net)
        self.net = work.net.eval()
        self.graph = simulate(self.net, self.spec, variant.scheme)
        self.expected = predict(self.net, self.val.images, self.spec)
        self.fp32 = self._accuracy(self.expected)
        self.tried: dict[str, Rung] = {}

    def run(self) -> Quantized:
        best: _Standing | None = None
        for standing in self._standings():
            if self._is_enough():
                return self._calibrated(standing.observer)
            if best is None or standing.sqnr_db > best.sqnr_db:
                best = standing
        assert best is not None  # noqa: S101 - there is a first rung
        for float_layers in self._mixed(best):
            if self._is_enough():
                return self._calibrated(best.observer, float_layers)
        if (learned := self._learned()) is not None and self._is_enough():
            return replace(learned, ladder=self._ladder())
        raise QuantizeError(
            f"params.yaml: variants.{self.work.name}: no rung of the ladder keeps the accuracy "
            f"within max_drop {self.variant.max_drop:g} of FP32's {self.fp32:.4f} on "
            f"{len(self.val)} val images: {rungs.explain(self.tried)}. Raise max_drop or "
            "max_float_layers, give the variant a longer schedule, or the dataset more "
            "calibration images"
        )

    def _standings(self) -> Iterator[_Standing]:
        """Rungs in 8 bits throughout that train nothing."""
        plain = self._weights()
        first = self._try("ptq", plain, "minmax", correct=False)
        yield first
        self._put(plain)
        equalise(self.graph, self.calibration, self.spec)
        second = self._try("equalised", self._weights(), "minmax", correct=False)
        yield second
        base = second if second.sqnr_db > first.sqnr_db else first
        third = self._try("bias-corrected", base.weights, "minmax", correct=True)
        yield third
        correct = third.sqnr_db > base.sqnr_db
        for observer in ("percentile", "mse"):
            yield self._try(observer, base.weights, observer, correct=correct)

    def _mixed(self, best: _Standing) -> Iterator[list[str]]:
        """The best of those, with one more of its most sensitive layers in float each time."""
        self._put(best.weights)
        give_ranges(self.graph, best.ranges)
        images = evenly(self.calibration, _RANKING_IMAGES)
        ranking = sensitivity.measure(self.graph, images, self.spec)
        layers = list(ranking)[: self.variant.max_float_layers]
        for number, layer in enumerate(layers, 1):
            leave_float(self.graph, [layer])
            self._put(best.weights)
            if best.corrected:  # for the roundings that are left
                correct_biases(self.graph, self.calibration, self.spec)
            self._judge(f"mixed-{number}", self.graph, layer)
            yield layers[:number]

    def _learned(self) -> Quantized | None:
        """QAT, where there is something to learn from."""
        reason = None
        if not self.work.schedule.epochs:
            reason = f"left out: schedule {self.variant.schedule} has no epochs"
        elif not len(self.work.data.train):
            reason = f"left out: dataset {self.variant.dataset} has no train images"
        if reason is not None:
            self.tried["qat"] = Rung(left_out=reason)
            return None
        learned = learn(self.work, self.variant, self.parent, self.calibration)
        self._judge("qat", learned.graph)
        return learned

    def _try(self, name: str, weights: Weights, observer: str, *, correct: bool) -> _Standing:
        self._put(weights)
        calibrate(self.graph, self.calibration, self.spec, observer, self.variant.percentile)
        if correct:
            correct_biases(self.graph, self.calibration, self.spec)
        level = self._judge(name, self.graph)
        return _Standing(weights, read_ranges(self.graph), observer, correct, level)

    def _judge(self, name: str, graph: GraphModule, layer: str | None = None) -> float:
        """Measure a rung on the val split, and record it; the logits' SQNR in dB."""
        logits = predict(graph, self.val.images, self.spec)
        near = fidelity(logits, self.expected)
        accuracy = self._accuracy(logits)
        self.tried[name] = Rung(
            accuracy=round(accuracy, 6),
            drop=round(self.fp32 - accuracy, 6),
            sqnr_db=near.sqnr_db,
            agreement=near.agreement,
            layer=layer,
        )
        print(f"{self.work.name}: {rungs.explain({name: self.tried[name]})}, {near.sqnr_db} dB")
        return near.sqnr_db

    def _is_enough(self) -> bool:
        """Whether the rung tried last keeps the accuracy."""
        drop = list(self.tried.values())[-1].drop
        # 0.005 of 400 images is two of them, however floating-point numbers put it.
        return drop is not None and drop <= self.variant.max_drop + 1e-6

    def _calibrated(self, observer: str, float_layers: list[str] | None = None) -> Quantized:
        take_weights(self.net, self.graph)
        return Quantized(
            self.net,
            self.graph,
            "ptq",
            observer,
            float_layers=float_layers or [],
            ladder=self._ladder(),
        )

    def _ladder(self) -> Ladder:
        return Ladder(
            taken=list(self.tried)[-1],
            fp32=round(self.fp32, 6),
            max_drop=self.variant.max_drop,
            images=len(self.val),
            rungs=self.tried,
        )

    def _accuracy(self, outputs: Float32Array) -> float:
        return self.work.metric(outputs, self.val)

    def _weights(self) -> Weights:
        return {name: value.detach().clone() for name, value in self.graph.named_parameters()}

    def _put(self, weights: Weights) -> None:
        with torch.no_grad():
            for name, value in self.graph.named_parameters():
                value.copy_(weights[name])
