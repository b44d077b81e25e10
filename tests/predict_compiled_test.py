"""How often `predict` compiles, and what it loads before it begins."""

import dataclasses
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from support import helpers
from tsm_jax import configuration, predict
from tsm_jax.bench import random_weights


@pytest.fixture
def model():
  """A small network that nobody trained."""
  config = configuration.load('quickstart', data={'image_size': 32})
  config.model.update(stage_sizes=(1,), width=8, num_frames=4)
  config = config.copy_and_resolve_references()
  config.model.num_classes = 3
  return predict.Model(**vars(random_weights.trained(config)))


def compiled(caplog):
  """The names of the programs that were compiled since it was last asked."""
  said = '\n'.join(record.getMessage() for record in caplog.records)
  caplog.clear()
  return re.findall(r'Finished XLA compilation of (\S+)', said)


def test_a_hundred_clips_need_one_program(model, tmp_path, caplog):
  clips = [
    helpers.write_video(tmp_path / f'{i}.mp4', length, size)
    for i, (length, size) in enumerate([(4, (32, 48)), (9, (48, 32))])
  ]
  caplog.set_level('WARNING', logger='jax')  # a command may have silenced it
  with jax.log_compiles():
    model.predict(clips[0])
    assert compiled(caplog) == ['jit(predict)']
    assert len(model.predict(50 * clips)) == 100
    assert compiled(caplog) == []
    model.predict(clips[1], clips=2)  # another form
    assert compiled(caplog) == ['jit(predict)']


def test_the_program_is_the_same_for_other_weights(model):
  other = dataclasses.replace(
    model, variables=jax.tree.map(lambda x: x + 1, model.variables)
  )
  frames = np.zeros((1, 4, 32, 32, 3), np.uint8)
  programs, answers = [], []
  for one in (model, other):
    found = predict.make_predict(one)
    programs.append(found.func.lower(*found.args, frames).as_text())
    answers.append(np.asarray(found(frames)))
    # On the device: nothing but frames is sent for a clip.
    assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(found.args))
  assert programs[0] == programs[1]
  assert abs(answers[0] - answers[1]).max() > 1e-3


def test_labels_do_not_wait_for_what_trains():
  code = """
import sys
import tsm_jax.predict.__main__
slow = 'grain', 'matplotlib', 'optax', 'tensorflow_datasets', 'torch'
print([name for name in slow if name in sys.modules])
"""
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=helpers.ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout == '[]\n'


def test_views_are_averaged_before_the_softmax(model):
  views = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), np.uint8)
  apply = jax.jit(model.module().apply)
  logits = [
    apply(model.variables, model.preprocessing.normalize(view[None]))[0]
    for view in views
  ]
  np.testing.assert_allclose(
    predict.make_predict(model)(views),
    jax.nn.softmax(sum(logits) / 2),
    rtol=1e-5,
  )
