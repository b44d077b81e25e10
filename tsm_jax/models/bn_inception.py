"""BNInception with the temporal shift, the authors' first architecture.

Unlike in the other networks, convolutions have a bias, pooling rounds up, and
the ImageNet weights expect BGR frames in 0..255 minus [104, 117, 128].
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from tsm_jax import errors
from tsm_jax.models import classifier

# Unit: widths of 1x1 | reduction, 3x3 | reduction, 3x3, 3x3 | pooling. A unit
# without the 1x1 halves the image and passes its pooled input on.
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
NUM_MASKED = len(UNITS) + 2  # with the two units of the stem


class Unit(nn.Module):
  """An Inception unit: four branches, concatenated along the channels.

  Its parameters have flat names, as in the authors' code, and belong to the
  network.

  Attributes:
    conv: constructor of convolutions.
    norm: constructor of norms.
    shift: constructor of the shift of the input, or None.
    widths: a value of `UNITS`.
    pool: pooling of the last branch, if it has a projection: 'max' or 'avg'.
  """

  conv: Callable[..., Any]
  norm: Callable[..., Any]
  shift: Callable[..., Any] | None
  widths: tuple[Any, ...]
  pool: str

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C]
    nn.share_scope(self.parent, self)
    single, (reduce, wide), (double_reduce, first, second), pool = self.widths
    stride = 1 if single else 2
    if stride == 2 and any(size % 2 for size in x.shape[1:3]):
      raise errors.InputError(
        f'{self.name} halves {x.shape[1:3]}, which must be even; bn_inception '
        f'takes frames whose height and width are multiples of 32.'
      )

    def layer(x, name, *args):
      name = f'{self.name}_{name}'
      x = self.conv(*args, name=name)(x)
      return nn.relu(self.norm(name=f'{name}_bn')(x))

    x = self.shift()(x) if self.shift else x
    branches = []
    if single:
      branches.append(layer(x, '1x1', single, 1))
    y = layer(x, '3x3_reduce', reduce, 1)
    branches.append(layer(y, '3x3', wide, 3, stride))
    y = layer(x, 'double_3x3_reduce', double_reduce, 1)
    y = layer(y, 'double_3x3_1', first, 3)
    branches.append(layer(y, 'double_3x3_2', second, 3, stride))
    if pool:
      pooling = {'max': nn.max_pool, 'avg': nn.avg_pool}[self.pool]
      y = pooling(x, (3, 3), padding=((1, 1), (1, 1)))
      branches.append(layer(y, 'pool_proj', pool, 1))
    else:
      branches.append(max_pool(x))
    return jnp.concatenate(branches, axis=-1)


class BNInception(classifier.VideoClassifier, kw_only=True):
  """TSN or TSM over BNInception.

  Attributes:
    shift: 'block' shifts the input of every unit but the first, 'none' nothing
      (TSN), and twelve characters of 0 and 1 choose the units: two of the stem,
      3a to 3c, 4a to 4e, 5a and 5b. The first is never shifted.
  """

  shift: str = 'block'

  def features(self, x, num_frames, train):
    """Maps frames [B * T, H, W, C] to features [B * T, 1024]."""
    conv = self.convolutions(use_bias=True)
    # The authors' momentum is 0.9 in PyTorch's sense.
    first_norm, norm = self.norms(train, x.shape[0] // num_frames, momentum=0.1)
    shifts = [
      functools.partial(
        self.temporal_shift(num_frames, train), name=f'shift{i}'
      )
      if shifted
      else None
      for i, shifted in enumerate(shift_mask(self.shift))
    ]
    x = conv(64, 7, 2, name='conv1')(x)
    x = max_pool(nn.relu(first_norm(name='bn1')(x)))  # [B * T, H/4, W/4, 64]
    x = shifts[1]()(x) if shifts[1] else x
    x = conv(64, 1, name='conv2_3x3_reduce')(x)
    x = nn.relu(norm(name='conv2_3x3_reduce_bn')(x))
    x = conv(192, 3, name='conv2_3x3')(x)
    x = max_pool(
      nn.relu(norm(name='conv2_3x3_bn')(x))
    )  # [B * T, H/8, W/8, 192]
    stages = {'3': [], '4': [], '5': []}
    for shift, (name, widths) in zip(shifts[2:], UNITS.items()):
      unit = Unit(
        conv=conv,
        norm=norm,
        shift=shift,
        widths=widths,
        pool='max' if name == '5b' else 'avg',
        name=f'inception_{name}',
        parent=None,
      )
      stages[name[0]].append([unit])
    for blocks in stages.values():
      x = self.apply_stage(blocks, x, train)
    return jnp.mean(x, axis=(1, 2))


def shift_mask(shift):
  """Whether each unit is shifted, as twelve booleans.

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


def max_pool(x):
  """Max-pool of kernel 3 and stride 2, without padding, rounding up."""
  padding = [(0, 1 - size % 2) for size in x.shape[1:3]]
  return nn.max_pool(x, (3, 3), (2, 2), padding=padding)
