"""Where an inference spends its time, by each runtime's own means."""
