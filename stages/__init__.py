"""One page per DVC stage."""
