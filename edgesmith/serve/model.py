"""One artifact, from a frame to what is in it: the one preprocessing, runtime and decoder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgesmith.boxes import Boxes
from edgesmith.decode.classify import softmax
from edgesmith.decode.detect import objects
from edgesmith.errors import ContractError
from edgesmith.preprocess import Float32Array, UInt8Array, fit
from edgesmith.runtimes import session as runtimes
from edgesmith.runtimes.tensors import network_input
from edgesmith.serve.result import Seen
from edgesmith.serve.track import FAINT


class Question(NamedTuple):
    """The network's input, see `Session.run`, of one image, its size, milliseconds by stage."""

    batch: Float32Array
    height: int
    width: int
    ms: dict[str, float]


class Answer(NamedTuple):
    """Predictions or logits, see `Session.run`, of one image, its size, milliseconds by stage."""

    given: Float32Array
    height: int
    width: int
    ms: dict[str, float]


class Model:
    """A loaded artifact.

    `name` is `<variant>/<format>`, `engine` what runs it, `usual_s` the time of a second look,
    without the warm-up of the first. A detector gives boxes fainter than `least`, the threshold:
    they continue tracks, and the tracker begins none with them.
    """

    def __init__(
        self,
        artifact: Path,
        threads: int,
        providers: tuple[str, ...],
        threshold: float | None,
    ) -> None:
        """Load and warm up; raises as `runtimes.session.load` does."""
        self._session = runtimes.load(artifact, threads, providers)
        contract = self._session.contract
        self.name = f"{contract.variant}/{contract.format}"
        self.engine = self._session.engine
        self.detects = contract.task == "detect"
        self.labels = contract.labels
        self._threshold = threshold or 0.0
        self.least = self._threshold
        self._boxes: Boxes | None = None
        if self.detects:
            asked = _boxes(artifact, contract.boxes, threshold)
            self.least = asked.score_threshold
            self._boxes = asked.model_copy(update={"score_threshold": min(FAINT, self.least)})
        spec = contract.input.preprocess
        # Frames are BGR, and `fit` takes RGB: the small image is reversed in place of the large.
        turned = {"RGB": "BGR", "BGR": "RGB"}[spec.colour]
        self._spec = spec.model_copy(update={"colour": turned})
        blank = np.zeros((spec.height, spec.width, 3), np.uint8)
        self.decode(self.look(self.prepare(blank)))
        start = time.perf_counter()
        self.decode(self.look(self.prepare(blank)))
        self.usual_s = time.perf_counter() - start

    def prepare(self, image: UInt8Array) -> Question:
        """What the network is asked about an image (H, W, 3) uint8 BGR."""
        start = time.perf_counter()
        batch = network_input(fit(image, self._spec)[None], self._session.contract.input)
        height, width = image.shape[:2]
        return Question(batch, height, width, {"preprocess": 1000 * (time.perf_counter() - start)})

    def look(self, question: Question) -> Answer:
        """The network's answer; from one thread, which is the one that loaded it."""
        start = time.perf_counter()
        given = self._session.run(question.batch)[0]
        ms = {**question.ms, "infer": 1000 * (time.perf_counter() - start)}
        return Answer(given, question.height, question.width, ms)

    def decode(self, answer: Answer) -> tuple[tuple[Seen, ...], dict[str, float]]:
        """What is in the image of an answer, and milliseconds by stage."""
        start = time.perf_counter()
        found = self._found(answer.given, answer.height, answer.width)
        return found, {**answer.ms, "decode": 1000 * (time.perf_counter() - start)}

    def _found(self, given: Float32Array, height: int, width: int) -> tuple[Seen, ...]:
        """A detector's objects; a classifier's best class, if that is sure enough."""
        if not self.detects:
            probabilities = softmax(given[None])[0]
            best = int(probabilities.argmax())
            score = float(probabilities[best])
            return (Seen(best, score),) if score >= self._threshold else ()
        found = objects(given, self._session.contract, height, width, self._boxes)
        return tuple(
            Seen(int(kind), float(score), (float(x1), float(y1), float(x2), float(y2)))
            for (x1, y1, x2, y2), score, kind in zip(*found, strict=True)
        )


def _boxes(artifact: Path, stated: Boxes | None, threshold: float | None) -> Boxes:
    if stated is None:
        raise ContractError(
            f"{artifact}: a detector without `boxes` in its contract, which say how maps become "
            "boxes; export it again"
        )
    if threshold is None:
        return stated
    return stated.model_copy(update={"score_threshold": threshold})
