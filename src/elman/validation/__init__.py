"""Checks of options, columns and values."""
