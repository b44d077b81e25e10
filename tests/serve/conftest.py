"""A server of a network that tells colours, for the tests of this folder."""

import functools
import pathlib
import shutil

import pytest

from support import colours, serving
from tsm_jax import checkpoints, stream
from tsm_jax.export import card, graph
from tsm_jax.stream.events import rules

# Of that network; slow tests of the converter compare.
MODEL = pathlib.Path(__file__).parents[1] / 'golden' / 'colours_step.tflite'


@pytest.fixture(scope='session')
def workdir(tmp_path_factory):
  return colours.save_model(tmp_path_factory.mktemp('colours'))


@pytest.fixture(scope='session')
def export(workdir, tmp_path_factory):
  """An export of that network for LiteRT, in the place of the command."""
  folder = tmp_path_factory.mktemp('export')
  trained = checkpoints.restore_model(workdir)
  made = graph.create(trained, 'step', 1)
  shutil.copyfile(MODEL, folder / 'model.tflite')
  card.write_labels(folder, trained.labels)
  rule = rules.Rule(window=0, min_length=0, background=('idle',))
  fields = {'format': 'litert', 'precision': 'float32', 'batch': 1}
  source = card.origin(workdir, trained)
  card.write(folder, card.describe(trained, made, rule, source, **fields))
  return folder


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
