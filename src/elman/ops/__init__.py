"""The kernels as functions: compiled on the CPU, through PyTorch on other devices, and their plain reference."""
