"""The examples in the docstrings run."""

import doctest

import pytest

from tsm_jax.data import defaults, sampling


@pytest.mark.parametrize('module', [defaults, sampling])
def test_examples(module):
  found = doctest.testmod(module)
  assert found.attempted > 0 and found.failed == 0
