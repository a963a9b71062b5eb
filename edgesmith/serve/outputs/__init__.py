"""Where the loop's frames go: window, video file, live page, metrics, JSON lines."""
