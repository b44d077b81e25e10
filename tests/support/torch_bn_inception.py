"""BNInception by PyTorch, written down once more."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from support import golden, nets
from tsm_jax import convert, models

F = torch.nn.functional


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
  config = {
    **nets.CONFIG,
    'name': 'bn_inception',
    'shift': 'block',
    'num_classes': num_classes,
  }
  model = models.create_model(config)
  frames = jnp.zeros((1, 2, 64, 64, 3))
  shapes = jax.eval_shape(model.init, jax.random.key(0), frames)
  zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
  state = convert.to_torch(config, zeros)
  return golden.weights({k: v.shape for k, v in state.items()})
