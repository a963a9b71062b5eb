"""One network in every runtime, PyTorch's own ways included: built, loaded, measured in turns."""
