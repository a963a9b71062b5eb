"""Does the loop leak: `python -m benchmarks.endurance`."""
