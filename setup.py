"""Installs `configs/` inside the package; all else is in setup.cfg."""

import setuptools

setuptools.setup(
  packages=[
    *setuptools.find_packages(include=['tsm_jax*']),
    'tsm_jax.configs.recipes',
  ],
  package_dir={'tsm_jax.configs.recipes': 'configs'},
)
