"""Attributions, gradient flow and diagnosis of a trained network."""
