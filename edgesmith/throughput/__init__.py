"""Images per second of several streams, and several measurements side by side."""
