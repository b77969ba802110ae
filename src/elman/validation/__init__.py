"""Checks that every floor above uses: option values, plain values."""
