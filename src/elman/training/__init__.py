"""The training loop, batches, truncated backpropagation, history and checkpoints."""
