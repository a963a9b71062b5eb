"""Measuring on another machine over SSH: the host's side of the conversation, and the device's."""
