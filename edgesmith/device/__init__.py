"""What a machine is, for measurements that depend on it."""
