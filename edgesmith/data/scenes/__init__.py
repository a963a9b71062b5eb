"""The embedded detection dataset: streets with several traffic signs, drawn by a program."""
