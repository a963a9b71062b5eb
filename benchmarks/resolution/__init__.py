"""Is a slow-down of 5 % seen, and only where there is one: `python -m benchmarks.resolution`."""
