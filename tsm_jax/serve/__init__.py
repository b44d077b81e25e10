"""A trained model on a page: `python -m tsm_jax.serve`."""
