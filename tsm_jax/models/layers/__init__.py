"""Layers of the networks: convolutions, norms, pooling, non-local blocks."""
