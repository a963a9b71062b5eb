"""What `pip install edgesmith[device-…]` takes on a device, and how long commands need to start."""
