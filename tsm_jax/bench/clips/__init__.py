"""Whole clips, classified and trained on, in JAX and in PyTorch."""
