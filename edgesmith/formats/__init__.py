"""One file per format, on the build host: a variant becomes an artifact."""
