"""TensorRT: its inputs checked anywhere, its engines built and described on the device."""
