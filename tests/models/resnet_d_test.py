import chex
import jax
import numpy as np
import pytest

from support import nets
from tsm_jax import convert, models
from tsm_jax.program import optim

CONFIG = {
  **nets.CONFIG,
  'depth': 50,
  'stage_sizes': (1, 1),
  'width': 16,
  'num_frames': 2,
  'stem': 'deep',
  'downsample': 'avg',
}


def test_equal_to_pytorch_at_an_odd_side_and_back():
  pytest.importorskip('torch')
  from support import torch_resnet

  model = models.create_model(CONFIG)
  frames = nets.clips(1, 2, 35, 35, 3)  # 9 pixels in front of stage 2
  variables = nets.tiny_variables(model, frames)
  state = convert.to_torch(CONFIG, variables)
  bare = {k.removeprefix('module.'): v for k, v in state.items()}
  assert bare['base_model.conv1.6.weight'].shape == (16, 8, 3, 3)
  assert bare['base_model.layer2.0.downsample.1.weight'].ndim == 4
  ours = jax.jit(model.apply)(variables, frames)
  theirs = torch_resnet.logits(bare, frames)
  np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
  config, again = convert.from_torch(state, stage_sizes=(1, 1), num_frames=2)
  assert config == models.config.complete(CONFIG)
  chex.assert_trees_all_equal(again, variables)


def test_its_first_layers_are_those_of_the_stem():
  model = models.create_model(CONFIG)
  params = models.shapes(model, (1, 2, 32, 32, 3))['params']
  groups = optim.parameter_groups(params, partial_bn=True)
  assert groups['stem_conv1']['kernel'] == 'first_weight'
  assert groups['stem_bn1']['scale'] == 'norm'
  assert groups['bn1']['scale'] == 'frozen'


def test_impossible_fields_are_named():
  for fields, message in (
    ({'stem': 'flat'}, "model.stem is 'flat'; choose from .*'deep'"),
    ({'width': 15}, 'model.width is 15; .* even'),
    ({'name': 'mobilenet_v2'}, "model.stem is 'deep'; only resnet"),
  ):
    with pytest.raises(ValueError, match=message):
      models.create_model({**CONFIG, **fields})
