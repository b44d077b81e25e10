"""BNInception with the temporal shift, the authors' first architecture.

Against the other networks: convolutions have a bias, pooling rounds up, and the
ImageNet weights expect BGR frames in 0..255 less [104, 117, 128].
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from tsm_jax import errors
from tsm_jax.models import classifier
from tsm_jax.models import shift as shift_lib

# Unit: widths of 1x1 | reduction, 3x3 | reduction, 3x3, 3x3 | pooling. Without
# 1x1, the unit halves the image and passes its pooled input on.
UNITS = {
  '3a': (64, (64, 64), (64, 96, 96), 32),
  '3b': (64, (64, 96), (64, 96, 96), 64),
  '3c': (0, (128, 160), (64, 96, 96), 0),
  '4a': (224, (64, 96), (96, 128, 128), 128),
  '4b': (192, (96, 128), (96, 128, 128), 128),
  '4c': (160, (128, 160), (128, 160, 160), 128),
  '4d': (96, (128, 192), (160, 192, 192), 128),
  '4e': (0, (128, 192), (192, 256, 256), 0),
  '5a': (352, (192, 320), (160, 224, 224), 128),
  '5b': (352, (192, 320), (192, 224, 224), 128),
}
NUM_MASKED = len(UNITS) + 2  # and the two units of the stem


class BNInception(classifier.VideoClassifier, kw_only=True):
  """TSN or TSM over BNInception.

  Attributes:
    shift: 'block' in front of every unit but the first, 'none' (TSN), or twelve
      of 0 and 1, one for each unit: two of the stem, 3a to 3c, 4a to 4e, 5a and
      5b. The first is never shifted.
  """

  shift: str = 'block'

  def features(self, x, num_frames, train):
    """Maps frames [B * T, H, W, C] to features [B * T, 1024]."""
    conv = functools.partial(
      classifier.convolution, use_bias=True, dtype=self.dtype
    )
    # The authors' momentum is 0.9 in PyTorch's meaning.
    batch_size = len(x) // num_frames
    first_norm, norm = self.norms(train, batch_size, momentum=0.1)
    layer = functools.partial(layer_of, conv=conv, norm=norm)
    shifts = [
      shift_lib.TemporalShift(
        num_frames,
        self.fold_div,
        self.direction,
        self.streaming,
        name=f'shift{i}',
      )
      if is_shifted
      else (lambda x: x)
      for i, is_shifted in enumerate(mask_of(self.shift))
    ]
    x = layer_of(
      x, 64, 7, 2, conv=conv, norm=first_norm, name='conv1', norm_name='bn1'
    )
    x = shifts[1](max_pool(x))  # [B * T, H/4, W/4, 64]
    x = layer(x, 64, 1, name='conv2_3x3_reduce')
    x = max_pool(layer(x, 192, 3, name='conv2_3x3'))  # [B * T, H/8, W/8, 192]
    stages = {}  # 3, 4, 5
    for shift, (name, widths) in zip(shifts[2:], UNITS.items()):

      def block(module, x, shift=shift, name=name, widths=widths):
        del module  # layers find it by themselves
        return unit(layer, shift(x), f'inception_{name}', widths)

      stages.setdefault(name[0], []).append(block)
    for blocks in stages.values():
      x = self.through(blocks, x, train)
    return jnp.mean(x, axis=(1, 2))


def mask_of(shift):
  """For each unit, whether it is shifted.

  Raises:
    InputError: if `shift` is neither 'block', 'none' nor a mask.
  """
  mask = {'block': '1' * NUM_MASKED, 'none': '0' * NUM_MASKED}.get(shift, shift)
  if len(mask) != NUM_MASKED or set(mask) - set('01'):
    raise errors.InputError(
      f"model.shift is {shift!r}; choose from 'block', 'none' or {NUM_MASKED} "
      f'characters of 0 and 1, one for each unit of bn_inception.'
    )
  return (False, *(c == '1' for c in mask[1:]))


def unit(layer, x, name, widths):
  """The four branches of an Inception unit, concatenated."""
  single, (reduce, wide), (double_reduce, first, second), pool = widths
  stride = 1 if single else 2
  if stride == 2 and any(size % 2 for size in x.shape[1:3]):
    raise errors.InputError(
      f'{name} halves {x.shape[1:3]}, which must be even; bn_inception takes '
      f'frames whose height and width are multiples of 32.'
    )
  branches = []
  if single:
    branches.append(layer(x, single, 1, name=f'{name}_1x1'))
  y = layer(x, reduce, 1, name=f'{name}_3x3_reduce')
  branches.append(layer(y, wide, 3, stride, name=f'{name}_3x3'))
  y = layer(x, double_reduce, 1, name=f'{name}_double_3x3_reduce')
  y = layer(y, first, 3, name=f'{name}_double_3x3_1')
  branches.append(layer(y, second, 3, stride, name=f'{name}_double_3x3_2'))
  around = ((1, 1), (1, 1))
  if not pool:
    y = max_pool(x)
  elif name == 'inception_5b':
    y = nn.max_pool(x, (3, 3), padding=around)
  else:
    y = nn.avg_pool(x, (3, 3), padding=around)
  if pool:
    y = layer(y, pool, 1, name=f'{name}_pool_proj')
  return jnp.concatenate([*branches, y], axis=-1)


def layer_of(
  x,
  features: int,
  kernel: int,
  stride: int = 1,
  *,
  conv: Callable[..., Any],
  norm: Callable[..., Any],
  name: str,
  norm_name: str | None = None,
):
  """Convolution, BatchNorm and ReLU."""
  x = conv(features, kernel, stride, name=name)(x)
  return nn.relu(norm(name=norm_name or f'{name}_bn')(x))


def max_pool(x):
  """Max-pool of kernel 3 and stride 2, without padding, rounding up."""
  padding = [(0, 1 - size % 2) for size in x.shape[1:3]]
  return nn.max_pool(x, (3, 3), (2, 2), padding=padding)
