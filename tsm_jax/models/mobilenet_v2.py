"""MobileNetV2 with the temporal shift, after the paper's code.

Against torchvision's: channels are rounded up to a multiple of 8, the stem has
always 32, and the head no dropout of its own.
"""

from collections.abc import Callable
import functools
import math
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from tsm_jax.models import classifier
from tsm_jax.models import shift as shift_lib

# expansion, channels, blocks, stride of the first block
STAGES = (
  (1, 16, 1, 1),
  (6, 24, 2, 2),
  (6, 32, 3, 2),
  (6, 64, 4, 2),
  (6, 96, 3, 1),
  (6, 160, 3, 2),
  (6, 320, 1, 1),
)
SHIFTS = ('blockres', 'none')


class InvertedResidual(nn.Module):
  """Expansion, depthwise 3x3 and projection, with the identity if it fits."""

  conv: Callable[..., Any]
  norm: Callable[..., Any]
  shift: Callable[..., Any] | None  # for the input of the residual branch
  expansion: int
  out_channels: int
  stride: int

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C]
    y = self.shift(name='shift')(x) if self.shift else x
    hidden = x.shape[-1] * self.expansion
    if self.expansion != 1:
      y = self.conv(hidden, 1, name='expand')(y)
      y = nn.relu6(self.norm(name='expand_bn')(y))
    y = self.conv(hidden, 3, self.stride, hidden, name='depthwise')(y)
    y = nn.relu6(self.norm(name='depthwise_bn')(y))
    y = self.conv(self.out_channels, 1, name='project')(y)
    y = self.norm(name='project_bn')(y)
    # [B * T, H / stride, W / stride, out_channels]
    return x + y if x.shape == y.shape else y


class MobileNetV2(classifier.VideoClassifier, kw_only=True):
  """TSN or TSM over MobileNetV2.

  Attributes:
    width_multiplier: of all channels but the stem's.
    shift: 'blockres' in the residual branch of every block that has an identity
      (ten, all with an expansion), or 'none' (TSN).
  """

  width_multiplier: float = 1.0
  shift: str = 'blockres'

  def features(self, x, num_frames, train):
    """Maps frames [B * T, H, W, C] to features [B * T, F]."""
    conv = functools.partial(classifier.convolution, dtype=self.dtype)
    first_norm, norm = self.norms(train, len(x) // num_frames)
    shift = functools.partial(
      shift_lib.TemporalShift,
      num_frames,
      self.fold_div,
      self.direction,
      self.streaming,
    )
    x = conv(32, 3, 2, name='conv1')(x)  # [B * T, H/2, W/2, 32]
    x = nn.relu6(first_norm(name='bn1')(x))
    block = functools.partial(
      MobileNetV2.block, conv=conv, norm=norm, shift=shift
    )
    first = 1
    for _, _, size, _ in STAGES:
      indices = range(first, first + size)
      x = self.through(
        [functools.partial(block, index=i) for i in indices], x, train
      )
      first += size
    last = rounded(1280 * max(1, self.width_multiplier))
    x = conv(last, 1, name='conv2')(x)
    x = nn.relu6(norm(name='bn2')(x))
    return jnp.mean(x, axis=(1, 2))

  def block(self, x, conv, norm, shift, index):
    """The block `index`, from 1."""
    expansion, channels, stride = blocks()[index - 1]
    return InvertedResidual(
      conv=conv,
      norm=norm,
      shift=shift if self.shift != 'none' and is_shifted(index) else None,
      expansion=expansion,
      out_channels=rounded(channels * self.width_multiplier),
      stride=stride,
      name=f'block{index}',
    )(x)


def blocks():
  """(expansion, channels at width 1, stride) of the 17 blocks."""
  return [
    (expansion, channels, stride if index == 0 else 1)
    for expansion, channels, size, stride in STAGES
    for index in range(size)
  ]


def is_shifted(index):
  """Whether the block `index`, from 1, is shifted: it has an identity."""
  all_blocks = blocks()
  _, channels, stride = all_blocks[index - 1]
  return index > 1 and stride == 1 and channels == all_blocks[index - 2][1]


def rounded(channels):
  """The number of channels, rounded up to a multiple of 8."""
  return math.ceil(channels / 8) * 8
