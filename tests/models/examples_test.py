"""The examples in the docstrings of public functions run as they stand."""

import doctest

import pytest

from tsm_jax import convert, models
from tsm_jax.convert import official_form
from tsm_jax.models import shift
from tsm_jax.stream import cache


@pytest.mark.parametrize(
  'module, number',
  [(shift, 2), (models, 1), (cache, 2), (convert, 1), (official_form, 1)],
)
def test_examples(module, number):
  finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
  found = [test for test in finder.find(module) if test.examples]
  assert len(found) == number
  for test in found:
    assert runner.run(test).failed == 0, test.name
