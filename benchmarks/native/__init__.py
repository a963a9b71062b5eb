"""Our worker's figure beside a bare loop over the runtime's own API: `python -m benchmarks.native`."""
