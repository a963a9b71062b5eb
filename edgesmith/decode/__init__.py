"""Network outputs to labels and boxes, on the host and on the device alike (numpy only)."""
