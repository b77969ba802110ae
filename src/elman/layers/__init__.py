"""Layers of networks over ragged sequences, and their losses."""
