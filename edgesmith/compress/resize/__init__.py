"""Other input sizes."""
