"""n-gram language models and their interpolation with a network."""
