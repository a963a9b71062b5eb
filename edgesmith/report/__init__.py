"""Tables and plots from the metrics."""
