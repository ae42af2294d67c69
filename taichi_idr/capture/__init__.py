"""Readers that turn a folder into a `Capture`."""
