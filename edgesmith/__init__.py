"""Edgesmith: from a trained vision model to small, fast, verified artifacts for edge devices."""

__version__ = "0.1.0"
