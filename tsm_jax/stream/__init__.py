"""Runs a model with `direction='past'` frame by frame (paper, section 4.2)."""

from tsm_jax.stream.cache import init_cache, run, step  # noqa: F401
from tsm_jax.stream.session import Answer, Session  # noqa: F401
