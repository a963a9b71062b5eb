"""Datasets on the build host: sources, splits, the stored form, augmentation."""
