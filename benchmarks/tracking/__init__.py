"""Tracking quality on films with known tracks, against how often the detector runs."""
