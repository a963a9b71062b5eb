"""Structured pruning with fine-tuning, and sparsity masks."""
