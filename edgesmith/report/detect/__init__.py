"""How well a detector finds objects."""
