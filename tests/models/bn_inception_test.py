import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import golden, nets, torch_bn_inception
from tsm_jax import convert, models
from tsm_jax.models import bn_inception

torch = pytest.importorskip('torch')

CONFIG = {**nets.CONFIG, 'name': 'bn_inception', 'shift': 'block'}


@pytest.fixture(scope='module')
def weights():
  return torch_bn_inception.weights_of(CONFIG['num_classes'])


def test_logits_equal_pytorch(weights):
  mask = '110100101011'
  config, variables = convert.from_torch(weights, shift=mask)
  frames = golden.frames(2, 4, 64)
  logits = jax.jit(models.create_model(config).apply)(variables, frames)
  theirs = torch_bn_inception.by_pytorch(weights, frames, mask)
  np.testing.assert_allclose(
    logits, theirs, rtol=1e-4, atol=1e-4 * abs(theirs).max()
  )


def test_units_have_the_known_channels(weights):
  inputs = {
    match[1]: value.shape[1]
    for key, value in weights.items()
    if (match := re.search(r'inception_(..)_3x3_reduce\.weight', key))
  }
  assert list(inputs[name] for name in bn_inception.UNITS) == [
    192, 256, 320, 576, 576, 576, 608, 608, 1056, 1024
  ]  # fmt: skip
  assert weights['module.new_fc.weight'].shape == (10, 1024)


def test_round_trip_and_its_shift_is_asked_for(weights):
  with pytest.raises(ValueError, match='give shift'):
    convert.from_torch(weights)
  config, variables = convert.from_torch(weights, shift='block')
  assert config == {**CONFIG, 'num_classes': 10}
  written = convert.to_torch(config, variables)
  for key, value in weights.items():
    np.testing.assert_array_equal(written[key], value)


@pytest.mark.parametrize(
  'name, shift',
  [
    ('TSM_ucf101_RGB_BNInception_shift8_block_avg_segment3_e120.pth', 'block'),
    ('TSM_ucf101_RGB_BNInception_avg_segment3_e120.pth', 'none'),
  ],
)
def test_the_file_name_tells_the_shift(tmp_path, weights, name, shift):
  state = {k: torch.tensor(v) for k, v in weights.items()}
  torch.save({'state_dict': state}, tmp_path / name)
  config, _ = convert.from_torch(tmp_path / name)
  assert (config['shift'], config['num_frames']) == (shift, 3)


@pytest.mark.parametrize('shift', ['blockres', '0110', '11111111112'])
def test_impossible_masks_are_named(shift):
  with pytest.raises(ValueError, match=f'model.shift is {shift!r}.*12 char'):
    models.create_model({**CONFIG, 'shift': shift})


def test_masks():
  assert bn_inception.shift_mask('1' * 12) == (False, *(True,) * 11)
  assert bn_inception.shift_mask('block') == (False, *(True,) * 11)
  assert bn_inception.shift_mask('none') == (False,) * 12
  assert bn_inception.shift_mask('010000000001').index(True) == 1


def test_frames_of_another_size_are_refused():
  model, key = models.create_model(CONFIG), jax.random.key(0)
  with pytest.raises(ValueError, match='multiples of 32'):
    jax.eval_shape(model.init, key, jnp.zeros((1, 8, 72, 72, 3)))


def test_number_of_parameters():
  # Known for the network of 1000 classes: 11 295 240.
  assert nets.num_parameters({**CONFIG, 'num_classes': 1000}) == 11295240
