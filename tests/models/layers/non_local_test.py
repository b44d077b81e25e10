import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import golden, nets
from tsm_jax import models
from tsm_jax.models import resnet
from tsm_jax.models.layers import batch_norm, non_local

torch = pytest.importorskip('torch')

NORM = functools.partial(batch_norm.BatchNorm, train=False)


def variables_of(weights):
  """Variables from the authors' names in one block."""
  names = {'g.0': 'g', 'phi.0': 'phi', 'theta': 'theta', 'W.0': 'out'}
  params = {
    ours: {
      'kernel': weights[f'{theirs}.weight'][:, :, 0, 0, 0].T,
      'bias': weights[f'{theirs}.bias'],
    }
    for theirs, ours in names.items()
  }
  params['out_bn'] = {
    'scale': weights['W.1.weight'],
    'bias': weights['W.1.bias'],
  }
  stats = {
    'mean': weights['W.1.running_mean'],
    'var': weights['W.1.running_var'],
  }
  return {'params': params, 'batch_stats': {'out_bn': stats}}


def block_weights(channels):
  inter = channels // 2
  shapes = {'W.0.weight': (channels, inter, 1, 1, 1), 'W.0.bias': (channels,)}
  for name in ('g.0', 'phi.0', 'theta'):
    shapes[f'{name}.weight'] = (inter, channels, 1, 1, 1)
    shapes[f'{name}.bias'] = (inter,)
  for name in ('weight', 'bias', 'running_mean', 'running_var'):
    shapes[f'W.1.{name}'] = (channels,)
  return golden.weights(shapes)


def attend(weights, x):
  """Our block on PyTorch's layout, [B, C, T, H, W]."""
  batch_size, channels, num_frames, height, width = x.shape
  frames = x.transpose((0, 2, 3, 4, 1)).reshape((-1, height, width, channels))
  block = non_local.NonLocal(num_frames, NORM)
  y = jax.jit(block.apply)(variables_of(weights), frames)
  y = np.asarray(y).reshape((batch_size, num_frames, height, width, channels))
  return y.transpose((0, 4, 1, 2, 3))


def test_recorded_block():
  case = golden.case('nl3d_c8_t2_h5_w4')
  weights = block_weights(8)
  keys = [k for k in case['keys'] if not k.endswith('num_batches_tracked')]
  assert sorted(weights) == keys
  x = np.random.RandomState(7).randn(1, 8, 2, 5, 4).astype(np.float32)
  y = attend(weights, x)
  np.testing.assert_allclose(y[0, :, 0, 0, 0], case['out_first'], rtol=1e-4)
  np.testing.assert_allclose(y.sum(), case['sum'], rtol=1e-4)
  np.testing.assert_allclose(abs(y).sum(), case['abs_sum'], rtol=1e-4)


def test_equals_pytorch():
  weights = {k: torch.tensor(v) for k, v in block_weights(16).items()}
  x = np.random.default_rng(0).normal(size=(2, 16, 3, 6, 5)).astype(np.float32)

  def conv(x, name):
    return torch.nn.functional.conv3d(
      x, weights[f'{name}.weight'], weights[f'{name}.bias']
    )

  def pooled(x):
    return torch.nn.functional.max_pool3d(x, (1, 2, 2)).flatten(2)

  t = torch.tensor(x)
  scores = conv(t, 'theta').flatten(2).mT @ pooled(conv(t, 'phi.0'))
  y = scores.softmax(dim=-1) @ pooled(conv(t, 'g.0')).mT
  y = conv(y.mT.reshape(2, 8, 3, 6, 5), 'W.0')
  y = t + torch.nn.functional.batch_norm(
    y,
    weights['W.1.running_mean'],
    weights['W.1.running_var'],
    weights['W.1.weight'],
    weights['W.1.bias'],
  )
  ours = attend({k: v.numpy() for k, v in weights.items()}, x)
  np.testing.assert_allclose(ours, y.numpy(), rtol=1e-4, atol=1e-5)


def test_a_new_block_is_the_identity_and_drawn_as_pytorch_does():
  x = jnp.asarray(nets.clips(2, 4, 4, 64))
  block = non_local.NonLocal(2, NORM)
  y, variables = jax.jit(block.init_with_output)(jax.random.key(0), x)
  chex.assert_trees_all_equal(y, x)
  conv = torch.nn.Conv3d(64, 32, 1)
  for leaf, reference in (('kernel', conv.weight), ('bias', conv.bias)):
    ours = np.asarray(variables['params']['theta'][leaf])
    limit = 64**-0.5
    assert 0.8 * limit < abs(ours).max() <= limit
    assert 0.8 * limit < float(abs(reference.detach()).max()) <= limit
  # The gradient reaches the scale, so that training can leave the identity.
  grads = jax.jit(
    jax.grad(lambda p: (block.apply({**variables, 'params': p}, x) ** 2).sum())
  )(variables['params'])
  assert np.any(grads['out_bn']['scale'])


def test_places():
  places = {
    depth: [
      (stage + 1, index)
      for stage, size in enumerate(resnet.DEPTHS[depth][1])
      for index in range(size)
      if resnet.has_non_local(stage, index)
    ]
    for depth in (18, 50, 101)
  }
  assert places[50] == [(2, 0), (2, 2), (3, 0), (3, 2), (3, 4)]
  in_checkpoint = {
    tuple(map(int, key.split('.layer')[1].split('.')[:2]))
    for key in golden.shapes('r50_shift_nl')
    if '.nl.' in key
  }
  assert sorted(in_checkpoint) == places[50]
  assert places[18] == [(2, 0), (3, 0)]
  assert len(places[101]) == 2 + 12


def test_every_frame_sees_every_other():
  fields = {'stage_sizes': (1, 1), 'width': 16, 'non_local': True}
  config = {**nets.CONFIG, **fields, 'shift': 'none'}
  model = models.create_model(config).clone(consensus='none')
  frames = nets.clips(1, 8, 32, 32, 3)
  variables = nets.tiny_variables(model, frames)
  apply = jax.jit(functools.partial(model.apply, variables))
  logits = apply(frames)
  changed = frames.copy()
  changed[0, 7] += 1
  assert np.all(np.any(apply(changed) != logits, axis=-1))
  # Attention knows no order: with equal frames swapped, logits are swapped.
  backwards = apply(frames[:, ::-1])[:, ::-1]
  chex.assert_trees_all_close(backwards, logits, rtol=1e-4, atol=1e-5)
