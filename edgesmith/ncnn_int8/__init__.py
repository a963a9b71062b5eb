"""INT8 for NCNN models: its two files read, ranges found, integers written; numpy and ncnn only."""
