"""A server of a network that tells colours, for the tests of this folder."""

import functools

import pytest

from support import colours, serving
from tsm_jax import checkpoints, stream
from tsm_jax.stream.events import rules


@pytest.fixture(scope='session')
def workdir(tmp_path_factory):
  return colours.save_model(tmp_path_factory.mktemp('colours'))


@pytest.fixture(scope='session')
def make_session(workdir):
  """Compiled sessions of that network by their slots; events begin early."""
  trained = checkpoints.restore_model(workdir)

  @functools.cache
  def make(slots):
    rule = rules.Rule(window=0, min_length=0, background=('idle',))
    session = stream.Session(trained, slots, rule)
    session.compile()
    return session

  return make


@pytest.fixture(scope='module')
def running(make_session):
  """A server with three slots."""
  session = make_session(3)
  with serving.running(session) as running:
    yield running
  for name in session.streams:
    session.remove(name)
