"""Videos of moving signs with their true tracks, drawn by a program (build host)."""
