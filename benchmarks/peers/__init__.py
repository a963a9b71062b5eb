"""Our INT8 beside what other tools make of the same float weights: `python -m benchmarks.peers`."""
