"""Events shipped from the device when it is connected: at least once, told apart by keys."""
