"""The Edge TPU: which operators it would take, its compiler, and what the compiler says."""
