"""The embedded dataset: traffic signs drawn, placed, lit and photographed by a program."""
