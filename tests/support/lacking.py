"""What a test does where a program that it needs is missing."""

import os

import pytest


def skip(message):
  """Skips the test, so that a user can run the others; fails it in CI."""
  if os.environ.get('CI'):
    pytest.fail(message)
  pytest.skip(message)
