"""Hailo executables (HEF) on the device side: what a file says of itself, and what runs it."""
