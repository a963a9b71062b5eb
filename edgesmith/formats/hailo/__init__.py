"""A variant as what Hailo's Dataflow Compiler takes, and the HEF that it gives."""
