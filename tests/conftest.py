"""Strict and fast settings for all tests: 8 devices, no silent broadcast."""

import os
import pathlib
import tempfile

import jax

_CACHE = pathlib.Path(tempfile.gettempdir()) / f'tsm_jax_tests_{os.getuid()}'

jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_disable_most_optimizations', True)
jax.config.update('jax_compilation_cache_dir', str(_CACHE))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
