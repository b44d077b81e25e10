import numpy as np
import pytest

from support import exported, leaving
from tsm_jax import configuration
from tsm_jax.bench.rivals import contenders
from tsm_jax.stream import session

RESNET = {'name': 'resnet', 'stage_sizes': (1, 2), 'width': 8, 'depth': 50}
MOBILE = {'name': 'mobilenet_v2', 'width_multiplier': 0.25}
CHANNELS_LAST = 'PyTorch, channels-last'


def contender(title, model):
  config = configuration.load('jester:direction=past')
  config = config.copy_and_resolve_references()
  config.data.image_size = 32
  config.model.update({**model, 'num_classes': 3, 'direction': 'past'})
  return contenders.Contender(title, config)


@pytest.mark.parametrize(
  'model',
  [
    pytest.param(RESNET, id='resnet'),
    pytest.param(MOBILE, id='mobile', marks=pytest.mark.slow),
  ],
)
def test_pytorch_answers_as_jax_does(model):
  """On three frames that differ: the caches go on in both."""
  rng = np.random.default_rng(1)
  frames = rng.integers(0, 256, (3, *contenders.frame_shape(32)), np.uint8)
  answers = {}
  for title in ('JAX', 'PyTorch, eager', CHANNELS_LAST):
    step, versions = contenders.create(contender(title, model), 1)
    assert list(versions) == ['jax' if title == 'JAX' else 'torch']
    answers[title] = np.array([step(frame).copy() for frame in frames])
  ours = answers['JAX']
  assert np.ptp(ours, axis=0).max() > 1e-3, 'frames must differ'
  for theirs in answers.values():
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_an_export_runs_frame_after_frame(tmp_path):
  """Its card has a rule, which needs times; here nothing is decided."""
  trained = leaving.trained(direction='past')
  folder = exported.write(tmp_path / 'out', trained, 'step')
  step, _ = contenders.create(contenders.Contender('out', {}, str(folder)), 1)
  frames = leaving.images(3, *contenders.frame_shape(32)[:2])
  followed = session.Session(trained)
  followed.add('camera')
  for frame in frames:
    (answer,) = followed.step({'camera': frame}).values()
    np.testing.assert_allclose(step(frame), answer.probabilities, atol=1e-5)
