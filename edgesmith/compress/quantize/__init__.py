"""One quantization: ranges, calibrated or learned once, for every format."""

from edgesmith.compress.quantize.step import quantize

__all__ = ["quantize"]
