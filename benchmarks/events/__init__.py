"""What the event log and the outputs cost on this machine's disk and processor."""
