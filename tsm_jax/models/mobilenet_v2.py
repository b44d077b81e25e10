"""MobileNetV2 with the temporal shift, after the authors' code.

Unlike torchvision's, it rounds channels up to a multiple of 8, its stem always
has 32 channels, and its head has no dropout of its own.
"""

from collections.abc import Callable
import itertools
import math
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from tsm_jax.models import classifier
from tsm_jax.models.layers import temporal_shift

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
  """Expansion, depthwise 3x3 and projection, plus the identity if it fits.

  Attributes:
    conv: constructor of convolutions.
    norm: constructor of norms.
    shift: constructor of the shift of the residual branch's input, or None.
    expansion: channels of the depthwise convolution per channel of the input.
    out_channels: channels of the output.
    stride: of the depthwise convolution.
  """

  conv: Callable[..., Any]
  norm: Callable[..., Any]
  shift: Callable[..., Any] | None
  expansion: int
  out_channels: int
  stride: int

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C]
    hidden = x.shape[-1] * self.expansion
    y = x
    if self.expansion != 1:
      y, fields = temporal_shift.into_convolution(self.shift, x)
      y = self.conv(hidden, 1, name='expand', **fields)(y)
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
    width_multiplier: of all channels except the stem's.
    shift: 'blockres' shifts the input of the residual branch of every block
      with an identity (ten blocks), 'none' nothing (TSN).
  """

  shift_by_products = True

  width_multiplier: float = 1.0
  shift: str = 'blockres'

  def features(self, x, num_frames, train):
    """Maps frames [B * T, H, W, C] to features [B * T, F]."""
    conv = self.convolutions()
    first_norm, norm = self.norms(train, x.shape[0] // num_frames)
    x = conv(32, 3, 2, name='conv1')(x)  # [B * T, H/2, W/2, 32]
    x = nn.relu6(first_norm(name='bn1')(x))
    number = 0
    for expansion, channels, size, stride in STAGES:
      blocks = []
      for index in range(size):
        number += 1
        shifted = self.shift != 'none' and is_shifted(number)
        block = InvertedResidual(
          conv=conv,
          norm=norm,
          shift=self.temporal_shift(num_frames, train) if shifted else None,
          expansion=expansion,
          out_channels=round_up(channels * self.width_multiplier),
          stride=stride if index == 0 else 1,
          name=f'block{number}',
          parent=None,
        )
        blocks.append([block])
      x = self.apply_stage(blocks, x, train)
    last = round_up(1280 * max(1, self.width_multiplier))
    x = conv(last, 1, name='conv2')(x)
    x = nn.relu6(norm(name='bn2')(x))
    return jnp.mean(x, axis=(1, 2))


def block_channels():
  """The channels of the 17 blocks at `width_multiplier=1`."""
  return [channels for _, channels, size, _ in STAGES for _ in range(size)]


def is_shifted(number):
  """Whether block `number`, from 1, is shifted: it has an identity.

  Those are all blocks but the first of each stage.
  """
  firsts = itertools.accumulate((size for _, _, size, _ in STAGES), initial=1)
  return number not in firsts


def round_up(channels):
  """Rounds a number of channels up to a multiple of 8."""
  return math.ceil(channels / 8) * 8
