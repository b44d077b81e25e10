"""Installs `configs/` inside the package; all else is in setup.cfg."""

import sys

import setuptools

packages = setuptools.find_packages(include=['tsm_jax*'])
if 'editable_wheel' in sys.argv:
  # Nothing is copied, and the recipes are found beside the package. It becomes
  # a path, which Python looks at before it takes a folder of that name for the
  # package, such as the checkout, seen from the folder around it.
  places = {'': '.'}
else:
  packages.append('tsm_jax.configs.recipes')
  places = {'tsm_jax.configs.recipes': 'configs'}
setuptools.setup(packages=packages, package_dir=places)
