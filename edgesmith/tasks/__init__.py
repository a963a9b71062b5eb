"""What a task is on the build host: its models, loss and metric."""
