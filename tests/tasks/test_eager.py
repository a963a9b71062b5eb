from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from edgesmith.bench.frame import camera_frame
from edgesmith.preprocess import decode_image, fit
from edgesmith.tasks import eager, store
from edgesmith.tasks.predict import predict


def test_eager_network_gives_the_logits_of_the_stored_one(trained: Path) -> None:
    threads, frame = torch.get_num_threads(), camera_frame()
    try:
        loaded = eager.load(trained / "models/base", 1, ("cpu",), frame)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    net, card = store.load(trained / "models/base")
    image = fit(decode_image(frame, "frame"), card.network.input)
    logits = loaded.calls["infer"]()
    assert isinstance(logits, torch.Tensor) and logits.is_inference()
    np.testing.assert_allclose(
        logits.numpy(), predict(net, image[None], card.network.input), rtol=1e-4, atol=1e-5
    )


def test_eager_network_says_what_runs_it(trained: Path) -> None:
    loaded = eager.load(trained / "models/base", torch.get_num_threads(), ("cpu",), camera_frame())
    assert loaded.engine == f"torch {torch.__version__}"
    assert set(loaded.calls) == {"infer"} and loaded.load_ms > 0
