"""What a task is judged by: metrics of outputs against labels (numpy only)."""
