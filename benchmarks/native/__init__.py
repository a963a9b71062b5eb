"""Our figure beside a bare loop over the runtime: `python -m benchmarks.native`."""
