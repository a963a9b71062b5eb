"""What it costs to measure over SSH: a device that is this machine, under another account."""
