"""One program per peer, run in its environment: a float model in, its INT8 model out."""
