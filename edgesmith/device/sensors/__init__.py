"""Temperature, clock, throttling and power of the machine that measures (Linux)."""
