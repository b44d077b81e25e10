"""Temporal Shift Module (arXiv 1811.08383) in JAX and Flax."""

__version__ = '0.1.0'
