import dataclasses
import types

import jax
import numpy as np
import pytest

from support import helpers
from tsm_jax import evaluate, models, sharding
from tsm_jax.data import defaults
from tsm_jax.data.input import preprocess, records
from tsm_jax.data.store import dataset

PREPROCESSING = preprocess.Preprocessing(
  4, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), **defaults.USUAL.as_dict()
)
VIEWS = records.Views(clips=2, crops=3, full_resolution=True)


@pytest.fixture(scope='module', params=defaults.STORAGES)
def source(request, tmp_path_factory):
  """Thirteen clips of three classes, of several lengths."""
  root = tmp_path_factory.mktemp('videos')
  for number in range(13):
    helpers.write_video(
      root / 'train' / 'abc'[number % 3] / f'{number}.mp4',
      3 + 2 * number,
      seed=number,
      bright=number,
    )
  path, _ = helpers.build(
    root, tmp_path_factory.mktemp('data'), storage=request.param
  )
  return dataset.open(path).split('train')


@pytest.fixture(scope='module')
def model_and_variables():
  model = models.create_model(
    {
      **models.DEFAULTS,
      'stage_sizes': (1, 1),
      'width': 8,
      'num_frames': 4,
      'num_classes': 3,
    }
  )
  frames = np.zeros(PREPROCESSING.clip_shape(), np.float32)
  variables = jax.jit(model.init, static_argnames='train')(
    jax.random.key(1), frames, train=False
  )
  # The classifier's initial values are too small to tell clips apart.
  scaled = jax.tree.map(lambda x: 30 * x, variables['params']['head'])
  variables = {**variables, 'params': {**variables['params'], 'head': scaled}}
  return model, variables


def one_by_one(model, variables, source):
  """Logits of every clip: each of its views alone, then their mean."""
  apply = jax.jit(lambda x: model.apply(variables, x, train=False)[0])
  logits = []
  for record in source:
    views = records.eval_views(record, PREPROCESSING, VIEWS) / np.float32(255)
    views = (views - np.float32(0.5)) / np.float32(0.25)
    logits.append(np.mean([apply(view[None]) for view in views], axis=0))
  return np.array(logits)


def test_large_frames_on_a_cpu_are_evaluated_without_norms(
  model_and_variables,
):
  model, variables = model_and_variables
  frames = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 80, 80, 3))
  for size, keys in ((72, ['batch_stats', 'params']), (80, ['params'])):
    how = dataclasses.replace(PREPROCESSING, image_size=size)
    prepared, applied = evaluate.prepare(model, variables, how)
    assert sorted(prepared) == keys
    shown = frames[..., :size, :size, :].astype(np.uint8)
    with applied():
      found = evaluate.view_logits(model, prepared, shown, how)
    expected = evaluate.view_logits(model, variables, shown, how)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize(('batch_size', 'devices'), [(8, (1, 8)), (16, (4,))])
def test_every_clip_once_whatever_the_devices(
  source, model_and_variables, batch_size, devices
):
  model, variables = model_and_variables
  logits = one_by_one(model, variables, source)
  labels = np.array([record['label'] for record in source])
  confusion = np.zeros((3, 3), int)
  np.add.at(confusion, (labels, logits.argmax(1)), 1)
  assert (confusion.sum(0) > 0).sum() > 1  # it tells clips apart
  losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(13), labels]
  config = types.SimpleNamespace(
    eval=types.SimpleNamespace(
      batch_size=batch_size, clips=2, crops=3, full_resolution=True
    ),
    data=types.SimpleNamespace(num_threads=3),
  )
  for count in devices:  # of which the clips are no multiple
    mesh = sharding.create_mesh(jax.devices()[:count])
    result = evaluate.Evaluator(model, PREPROCESSING, mesh).evaluate(
      jax.device_put(variables, sharding.replicated(mesh)), source, config
    )
    assert result.num_clips == 13
    np.testing.assert_array_equal(result.confusion, confusion)
    np.testing.assert_allclose(result.loss, losses.mean(), rtol=1e-4)
    # The clips of the padded last batch, too, each in its place.
    assert result.logits.dtype == np.float32
    np.testing.assert_allclose(result.logits, logits, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(result.labels, labels)
    assert result.clips == [r['video_id'].decode() for r in source]
    assert (result.logits.argmax(1) == labels).mean() == result.top1
