"""Image classification: build a network, train it, measure it."""
