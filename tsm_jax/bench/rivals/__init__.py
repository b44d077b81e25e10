"""The network of a stream in JAX, in PyTorch and as exports, side by side."""
