"""Data of classifiers: one class per image, as stored and as augmented for training."""
