"""What the build host signs and lays beside the DVC remote for devices to pull."""
