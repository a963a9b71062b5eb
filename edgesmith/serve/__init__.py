"""The loop on the device: source, detector, tracker, outputs; kept alive, cool and on record."""
