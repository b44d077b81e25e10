import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import pytest

from support import leaving, nets
from tsm_jax import errors, models
from tsm_jax.models import mobilenet_v2

CONFIG = nets.CONFIG
short = leaving.short


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


def test_a_part_of_the_fields_is_enough_and_others_are_refused():
  part = {'num_classes': 10}
  assert models.create_model(part) == models.create_model(CONFIG)
  config = config_dict.ConfigDict(part)
  assert models.create_model(config) == models.create_model(CONFIG)
  assert config.to_dict() == part  # it is not changed
  with pytest.raises(
    errors.InputError, match=r"no field 'model.shft'.*mean 'model.shift'"
  ):
    models.create_model({**part, 'shft': 'none'})
  with pytest.raises(errors.InputError, match='num_classes is 0'):
    models.create_model({})


def test_every_field_of_a_network_is_set():
  fields = {'shift': 'block', 'fold_div': 4, 'remat': 'stage', 'width': 8}
  fields |= {'stage_sizes': [1, 2], 'bn_stats': 'ghost', 'ghost_clips': 2}
  model = models.create_model({**CONFIG, **fields})
  assert (model.shift, model.fold_div, model.remat) == ('block', 4, 'stage')
  assert (model.width, model.stage_sizes, model.name) == (8, (1, 2), None)
  assert (model.ghost_clips, model.frozen_bn) == (2, False)
  model = models.create_model({**CONFIG, **fields, 'bn_stats': 'frozen'})
  assert (model.ghost_clips, model.frozen_bn) == (0, True)


@pytest.mark.parametrize(
  'name, modality, channels',
  [
    ('resnet', 'rgb', 3),
    ('resnet', 'flow', 10),
    ('mobilenet_v2', 'flow', 10),
    ('resnet', 'rgb_diff', 15),
  ],
)
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


def test_names_of_first_and_last_layers_are_the_same_everywhere(short):
  # The groups of the optimiser find them by these names.
  for name, shift in (
    ('resnet', 'blockres'),
    ('mobilenet_v2', 'blockres'),
    ('bn_inception', 'block'),
  ):
    fields = {'name': name, 'shift': shift, 'stage_sizes': (1,)}
    model = models.create_model({**CONFIG, **fields})
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
def test_bfloat16_is_near(fields, monkeypatch):
  monkeypatch.setattr(mobilenet_v2, 'STAGES', mobilenet_v2.STAGES[:2])
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
