"""How artifacts are timed."""
