"""PyTorch's profiler on a trained tiny variant; the build side."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesmith.profile.take import take
from edgesmith.profile_torch.target import target

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("torchscript", [False, True])
def test_kernels_and_framework_make_the_inference(chain: Path, torchscript: bool) -> None:
    targets = [target(chain / "models" / name, torchscript=torchscript) for name in ("base", "ptq")]
    for profile in take(targets, runs=4, threads=1):
        found = profile.summary
        assert any("conv" in op for op in found.ops), found.ops
        assert 0 < found.kernel_ms <= found.run_ms
        assert {"operators that call operators", "memory and views"} < set(found.overhead_ms)
        assert '"traceEvents"' in profile.recording.native
