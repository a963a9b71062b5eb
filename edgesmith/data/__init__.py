"""Datasets on the build host: sources, splits, and by task the stored form and augmentation."""
