"""An artifact run for long: what heat, throttling and leaks make of its first figures."""
