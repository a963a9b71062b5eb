"""Where PyTorch spends the time of an inference: the build side of `edgesmith.profile`."""
