"""Sources of images with boxes: what label files say, and which image goes into which split."""
