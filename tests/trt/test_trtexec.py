"""Output as trtexec printed it, found in public logs; NO VENDOR CODE RAN."""

import pytest

from edgesmith.errors import RuntimeUnavailableError
from edgesmith.trt import trtexec

# TensorRT 10.3 on a Jetson.
ORIN = """\
[05/13/2025-10:36:46] [I] === Performance summary ===
[05/13/2025-10:36:46] [I] Throughput: 318.007 qps
[05/13/2025-10:36:46] [I] Latency: min = 3.12671 ms, max = 3.15479 ms, mean = 3.14068 ms, \
median = 3.14062 ms, percentile(90%) = 3.14587 ms, percentile(95%) = 3.14771 ms, \
percentile(99%) = 3.15039 ms
[05/13/2025-10:36:46] [I] Enqueue Time: min = 0.844238 ms, max = 2.05505 ms, mean = 0.887139 ms, \
median = 0.872437 ms, percentile(90%) = 0.932861 ms, percentile(95%) = 0.953735 ms, \
percentile(99%) = 1.0658 ms
[05/13/2025-10:36:46] [I] H2D Latency: min = 0 ms, max = 0 ms, mean = 0 ms, median = 0 ms, \
percentile(90%) = 0 ms, percentile(95%) = 0 ms, percentile(99%) = 0 ms
[05/13/2025-10:36:46] [I] GPU Compute Time: min = 3.12671 ms, max = 3.15479 ms, \
mean = 3.14068 ms, median = 3.14062 ms, percentile(90%) = 3.14587 ms, \
percentile(95%) = 3.14771 ms, percentile(99%) = 3.15039 ms
&&&& PASSED TensorRT.trtexec [TensorRT v100300] # /usr/src/tensorrt/bin/trtexec --onnx=x
"""
# NVIDIA Xavier with TensorRT 8.4, which prints one percentile.
XAVIER = """\
[03/11/2022-14:57:03] [I] === Performance summary ===
[03/11/2022-14:57:03] [I] Throughput: 41087.7 qps
[03/11/2022-14:57:03] [I] Latency: min = 0.387207 ms, max = 0.447357 ms, mean = 0.402238 ms, \
median = 0.401947 ms, percentile(99%) = 0.420288 ms
[03/11/2022-14:57:03] [I] H2D Latency: min = 0.00622559 ms, max = 0.0571899 ms, \
mean = 0.0104126 ms, median = 0.00952148 ms, percentile(99%) = 0.0272217 ms
[03/11/2022-14:57:03] [I] GPU Compute Time: min = 0.375977 ms, max = 0.403564 ms, \
mean = 0.388221 ms, median = 0.388443 ms, percentile(99%) = 0.393188 ms
&&&& PASSED TensorRT.trtexec [TensorRT v8400] # trtexec --loadEngine=mnist16.trt --batch=16
"""


def test_summary_of_10_is_read() -> None:
    timed = trtexec.parse(ORIN)
    assert timed.version == "100300" and timed.throughput_qps == 318.007
    assert timed.latency_ms["p50"] == 3.14062 and timed.latency_ms["p99"] == 3.15039
    assert timed.compute_ms["min"] == 3.12671


def test_latency_is_that_of_the_host_and_not_of_the_copies() -> None:
    timed = trtexec.parse(XAVIER)
    assert timed.latency_ms["p50"] == 0.401947 and timed.compute_ms["p50"] == 0.388443
    assert "p90" not in timed.latency_ms  # absent, never guessed


def test_output_without_figures_is_no_measurement() -> None:
    with pytest.raises(RuntimeUnavailableError, match="timed nothing"):
        trtexec.parse("&&&& FAILED TensorRT.trtexec [TensorRT v100300]")


def test_machine_without_trtexec_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeUnavailableError, match="libnvinfer-bin"):
        trtexec.find()
