"""The steps of the chain: train, distill, prune, quantize, cast."""
