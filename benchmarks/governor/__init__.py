"""The governor on simulated devices, as a picture."""
