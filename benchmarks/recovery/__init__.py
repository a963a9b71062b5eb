"""How long the loop is blind after a part died or hung: `python -m benchmarks.recovery`."""
