import re

import golden
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import resnet_test

from tsm_jax import convert, models
from tsm_jax.models import bn_inception

torch = pytest.importorskip('torch')

F = torch.nn.functional
CONFIG = {**resnet_test.CONFIG, 'name': 'bn_inception', 'shift': 'block'}


def by_pytorch(weights, frames, mask):
  """Clip logits by PyTorch's functions; `mask` is for the twelve units."""
  w = {
    k.removeprefix('module.').removeprefix('base_model.'): torch.tensor(v)
    for k, v in weights.items()
  }
  num_frames = frames.shape[1]

  def layer(x, name, stride=1):
    kernel, bias = w[f'{name}.weight'], w[f'{name}.bias']
    x = F.conv2d(x, kernel, bias, stride, kernel.shape[-1] // 2)
    statistics = (w[f'{name}_bn.running_mean'], w[f'{name}_bn.running_var'])
    affine = (w[f'{name}_bn.weight'], w[f'{name}_bn.bias'])
    return F.relu(F.batch_norm(x, *statistics, *affine))

  def shifted(x, unit):
    if mask[unit] == '0' or unit == 0:
      return x
    y = x.reshape(-1, num_frames, *x.shape[1:])
    fold = y.shape[2] // 8
    z = torch.zeros_like(y)
    z[:, :-1, :fold] = y[:, 1:, :fold]
    z[:, 1:, fold : 2 * fold] = y[:, :-1, fold : 2 * fold]
    z[:, :, 2 * fold :] = y[:, :, 2 * fold :]
    return z.reshape(x.shape)

  def halved(x):
    return F.max_pool2d(x, 3, 2, ceil_mode=True)

  x = torch.tensor(frames).permute(0, 1, 4, 2, 3).flatten(0, 1)
  x = halved(layer(shifted(x, 0), 'conv1_7x7_s2', 2))
  x = halved(layer(layer(shifted(x, 1), 'conv2_3x3_reduce'), 'conv2_3x3'))
  names = ('3a', '3b', '3c', '4a', '4b', '4c', '4d', '4e', '5a', '5b')
  for unit, name in enumerate(names, start=2):
    x, start = shifted(x, unit), f'inception_{name}_'
    stride = 2 if name in ('3c', '4e') else 1
    y = [] if stride == 2 else [layer(x, f'{start}1x1')]
    y.append(layer(layer(x, f'{start}3x3_reduce'), f'{start}3x3', stride))
    z = layer(layer(x, f'{start}double_3x3_reduce'), f'{start}double_3x3_1')
    y.append(layer(z, f'{start}double_3x3_2', stride))
    if stride == 2:
      y.append(halved(x))
    else:
      pool = F.max_pool2d if name == '5b' else F.avg_pool2d
      y.append(layer(pool(x, 3, 1, 1), f'{start}pool_proj'))
    x = torch.cat(y, 1)
  x = F.linear(x.mean((2, 3)), w['new_fc.weight'], w['new_fc.bias'])
  return x.reshape(-1, num_frames, x.shape[-1]).mean(1).numpy()


def weights_of(num_classes):
  """Weights of the recorded rule; the shapes are those of a written model."""
  config = {**CONFIG, 'num_classes': num_classes}
  model = models.create_model(config)
  frames = jnp.zeros((1, 2, 64, 64, 3))
  shapes = jax.eval_shape(model.init, jax.random.key(0), frames)
  zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
  state = convert.to_torch(config, zeros)
  return golden.weights({k: v.shape for k, v in state.items()})


@pytest.fixture(scope='module')
def weights():
  return weights_of(CONFIG['num_classes'])


@pytest.mark.parametrize('mask', ['block', 'none', '110000100001'])
def test_logits_equal_pytorch(weights, mask):
  config, variables = convert.from_torch(weights, shift=mask)
  frames = golden.frames(2, 4, 64)
  logits = jax.jit(models.create_model(config).apply)(variables, frames)
  full = {'block': '1' * 12, 'none': '0' * 12}.get(mask, mask)
  theirs = by_pytorch(weights, frames, full)
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
  assert bn_inception.mask_of('1' * 12)[0] is False


def test_frames_of_another_size_are_refused():
  model, key = models.create_model(CONFIG), jax.random.key(0)
  with pytest.raises(ValueError, match='multiples of 32'):
    jax.eval_shape(model.init, key, jnp.zeros((1, 8, 72, 72, 3)))


def test_number_of_parameters():
  # Known for the network of 1000 classes: 11 295 240.
  assert resnet_test.num_parameters({**CONFIG, 'num_classes': 1000}) == 11295240
