"""Pre-training on unlabelled text."""
