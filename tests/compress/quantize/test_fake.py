"""Simulated 8-bit tensors against torch's own, slower kernels."""

import pytest
import torch

from edgesmith.compress.quantize.fake import PerChannelWeight, TensorRange


@pytest.mark.parametrize(
    ("scheme", "low", "high", "limits"),
    [
        (torch.per_tensor_affine, -0.7, 2.3, (0, 255)),
        (torch.per_tensor_affine, 0.0, 6.0, (0, 255)),
        (torch.per_tensor_symmetric, -1.5, 1.1, (-127, 127)),
    ],
)
def test_activation_as_torch_simulates_it(
    scheme: torch.qscheme, low: float, high: float, limits: tuple[int, int]
) -> None:
    simulated = TensorRange(
        key="x", dtype=torch.uint8, quant_min=limits[0], quant_max=limits[1], qscheme=scheme
    )
    simulated.low.fill_(low)
    simulated.high.fill_(high)
    mine = torch.linspace(-4, 8, 4001, requires_grad=True)
    theirs = mine.detach().clone().requires_grad_()
    scale, zero = simulated.calculate_qparams()
    expected = torch.fake_quantize_per_tensor_affine(theirs, scale, zero, *limits)
    result = simulated(mine)
    # A value in the middle between two levels may go either way: float rounding decides.
    assert (result - expected).abs().max() <= 1.01 * scale
    assert ((result - expected).abs() > 1e-5).float().mean() < 0.002
    result.sum().backward()
    expected.sum().backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    assert 0 < mine.grad.mean() < 1
    assert (mine.grad != theirs.grad).float().mean() < 0.002


def test_weight_as_torch_simulates_it() -> None:
    simulated = PerChannelWeight(
        key="w", dtype=torch.int8, quant_min=-127, quant_max=127,
        qscheme=torch.per_channel_symmetric, ch_axis=0,
    )  # fmt: skip
    torch.manual_seed(0)
    mine = (
        torch.randn(8, 4, 3, 3) * torch.logspace(-3, 1, 8)[:, None, None, None]
    ).requires_grad_()
    result = simulated(mine)
    scale, zero = simulated.calculate_qparams()
    expected = torch.fake_quantize_per_channel_affine(mine.detach(), scale, zero, 0, -127, 127)
    torch.testing.assert_close(result.detach(), expected, rtol=1e-5, atol=0)
    upstream = torch.randn_like(result)
    result.backward(upstream)
    assert mine.grad is not None
    torch.testing.assert_close(mine.grad, upstream)
