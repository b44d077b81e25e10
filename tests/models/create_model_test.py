import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import nets
from tsm_jax import models

CONFIG = nets.CONFIG


@pytest.mark.parametrize(
  'field, value, choice',
  [
    ('name', 'vgg', 'mobilenet_v2'),
    ('depth', 51, '101'),
    ('shift', 'inplace', 'blockres'),
    ('direction', 'future', 'past'),
    ('modality', 'sound', 'flow'),
    ('dtype', 'float16', 'bfloat16'),
    ('non_local', 2, 'True'),
    ('temporal_pool', 'yes', 'True'),
    ('num_classes', 0, 'positive integer'),
    ('num_frames', 8.0, 'positive integer'),
    ('fold_div', True, 'positive integer'),
    ('groups', 0, 'positive integer'),
    ('shift_every', -1, 'or 0'),
    ('dropout', 1.0, r'\[0, 1\)'),
  ],
)
def test_impossible_fields_are_named(field, value, choice):
  with pytest.raises(
    ValueError, match=rf'model.{field} is .*{value}.*{choice}'
  ):
    models.create_model({**CONFIG, field: value})


def test_fields_that_exclude_each_other_are_named():
  with pytest.raises(ValueError, match=r'num_frames is 7.*temporal_pool'):
    models.create_model({**CONFIG, 'num_frames': 7, 'temporal_pool': True})
  with pytest.raises(ValueError, match=r'groups is 32; basic'):
    models.create_model({**CONFIG, 'depth': 18, 'groups': 32})


@pytest.mark.parametrize(
  'modality, channels', [('rgb', 3), ('flow', 10), ('rgb_diff', 15)]
)
@pytest.mark.parametrize('name', ['resnet', 'mobilenet_v2'])
def test_modality_is_the_number_of_channels(name, modality, channels):
  fields = {'name': name, 'stage_sizes': (1, 1), 'width': 8}
  model = models.create_model({**CONFIG, **fields, 'modality': modality})
  key, frames = jax.random.key(0), jnp.zeros((2, 4, 32, 32, channels))
  logits, variables = jax.eval_shape(model.init_with_output, key, frames)
  assert logits.shape == (2, 10)
  assert variables['params']['conv1']['kernel'].shape[2] == channels
  for wrong in ((2, 4, 32, 32, 4), (4, 32, 32, channels)):
    with pytest.raises(
      ValueError, match=rf'{modality} model takes.*{channels}'
    ):
      jax.eval_shape(model.init, key, jnp.zeros(wrong))


def test_names_of_first_and_last_layers_are_the_same_everywhere():
  # The groups of the optimiser find them by these names.
  for name in ('resnet', 'mobilenet_v2'):
    model = models.create_model({**CONFIG, 'name': name})
    frames = jnp.zeros((1, 8, 32, 32, 3))
    params = jax.eval_shape(model.init, jax.random.key(0), frames)['params']
    assert {'conv1', 'bn1', 'head'} <= params.keys()


@pytest.mark.parametrize(
  'fields',
  [
    {'name': 'mobilenet_v2', 'width_multiplier': 0.5},
    {'stage_sizes': (1, 1), 'width': 16, 'non_local': True},
  ],
)
def test_bfloat16_is_near(fields):
  frames = nets.clips(2, 8, 32, 32, 3)
  model = models.create_model({**CONFIG, **fields})
  half = models.create_model({**CONFIG, **fields, 'dtype': 'bfloat16'})
  variables = nets.tiny_variables(model, frames)
  expected = jax.jit(model.apply)(variables, frames)
  logits = jax.jit(half.apply)(variables, frames)
  assert logits.dtype == jnp.float32
  np.testing.assert_allclose(
    logits, expected, atol=0.1 * np.abs(expected).max()
  )
