"""The command `elman`."""
