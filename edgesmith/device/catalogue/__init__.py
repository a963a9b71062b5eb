"""Devices that artifacts are made for: a TOML file each, `entry.py` says what it holds."""
