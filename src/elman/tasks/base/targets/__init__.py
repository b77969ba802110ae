"""Targets: reading labels and numbers, learning their classes and scale, decoding and scoring answers."""
