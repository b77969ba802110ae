"""Frames of series as windows to learn from."""
