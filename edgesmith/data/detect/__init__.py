"""Data of detectors: images with boxes, as stored and as augmented for training."""
