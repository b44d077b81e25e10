"""The examples in the docstrings of streams run as they stand."""

import doctest

import pytest

from tsm_jax.stream import watch
from tsm_jax.stream.frames import due, pace, rtsp
from tsm_jax.stream.output import subtitles, tables


@pytest.mark.parametrize('module', [due, pace, rtsp, subtitles, tables, watch])
def test_examples(module):
  found = doctest.testmod(module)
  assert found.attempted > 0 and found.failed == 0
