"""Training from the parent's weights on."""
