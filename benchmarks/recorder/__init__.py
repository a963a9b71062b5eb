"""Does watching the machine slow what is measured: `python -m benchmarks.recorder`."""
