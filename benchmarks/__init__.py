"""Benchmarks against others: outside the pipeline, run by hand."""
