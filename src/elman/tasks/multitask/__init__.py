"""Several targets from one network."""
