"""Images with boxes: sources, splits, their stored form, augmentation."""
