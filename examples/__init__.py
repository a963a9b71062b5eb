"""Programs around edgesmith, to read and to start from."""
