"""One quantization: ranges, calibrated or learned once, for every format."""
