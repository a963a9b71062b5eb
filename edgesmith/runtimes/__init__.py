"""One file per inference engine, on the device: an artifact becomes a session."""
