"""How well a classifier names images."""
