"""Do two measurements of the same cells agree: `python -m benchmarks.repeat`."""
