"""ResNet with the temporal shift, after torchvision's conventions.

Names follow torchvision (`conv1`, `layer2_0`, `downsample_conv`, ...), so that
a weight is found by its name in either library.
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from tsm_jax.models import classifier, shift
from tsm_jax.models.layers import (
  non_local,
  parts,
  pooling,
  residual,
  temporal_shift,
)

# depth: (uses bottleneck blocks, blocks per stage)
DEPTHS = {
  18: (False, (2, 2, 2, 2)),
  34: (False, (3, 4, 6, 3)),
  50: (True, (3, 4, 6, 3)),
  101: (True, (3, 4, 23, 3)),
  152: (True, (3, 8, 36, 3)),
}
SHIFTS = ('blockres', 'block', 'none')
STEMS = ('plain', 'deep')
DOWNSAMPLES = ('conv', 'avg')


class Block(nn.Module):
  """A residual block, basic or bottleneck.

  Attributes:
    conv: constructor of convolutions.
    norm: constructor of norms.
    shift: constructor of the shift of the residual branch's input, or None.
    shift_identity: whether the identity is shifted as well (in-place shift).
    width: channels of the 3x3 convolutions.
    out_channels: channels of the output.
    stride: of the first 3x3 convolution, and of the identity.
    groups: of a bottleneck's 3x3 convolution.
    bottleneck: 1x1, 3x3, 1x1 if true, otherwise 3x3, 3x3.
    downsample: as in `ResNet`.
    apart: of a bottleneck's input and output, see `convolution.Conv`.
    beside: whether its input is in one array all the same, of which its branch
      takes the moved ones apart.
    stored: whether a shift that is a part of a convolution reads the output.
  """

  conv: Callable[..., Any]
  norm: Callable[..., Any]
  shift: Callable[..., Any] | None
  shift_identity: bool
  width: int
  out_channels: int
  stride: int
  groups: int
  bottleneck: bool
  downsample: str
  apart: tuple[int, int] = (0, 0)
  beside: bool = False
  stored: bool = False

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C], an array or `parts.Parts`
    taken, given = self.apart
    x, y, fields, stored = self.shifted(x)
    if self.bottleneck:
      fields.update(apart=(taken, 0), beside=self.beside)
      y = self.conv(self.width, 1, name='conv1', **fields)(y)
      y = nn.relu(self.norm(name='bn1')(y))
      y = self.conv(self.width, 3, self.stride, self.groups, name='conv2')(y)
      y = nn.relu(self.norm(name='bn2')(y))
      last = self.conv(self.out_channels, 1, name='conv3', apart=(0, given))
      y = last(y)
      y = self.norm(name='bn3')(y)
    else:
      y = self.conv(self.width, 3, self.stride, name='conv1', **fields)(y)
      y = nn.relu(self.norm(name='bn1')(y))
      y = self.conv(self.out_channels, 3, name='conv2')(y)
      y = self.norm(name='bn2')(y)
    if x.shape != y.shape:
      x = self.identity(x)
    else:  # otherwise the backward pass reads both operands anyhow
      stored |= self.stored
    # [B * T, H / stride, W / stride, out_channels]
    return residual.ReluOfSum(stored)(x, y)

  def shifted(self, x):
    """`(identity, input, fields, stored)`: of the branch, and of its end."""
    if not self.shift or not self.shift_identity:
      make = self.shift
      if self.beside:
        make = functools.partial(make, beside=self.apart[0])
      return x, *temporal_shift.into_convolution(make, x), False
    module = self.shift(name='shift')
    moved = module(x)
    if not module.fuses:
      return moved, moved, {}, False
    # Each branch shifts for itself, so that nothing is stored for it.
    taken = temporal_shift.into_convolution(lambda name: module, x)
    return moved, *taken, True

  def identity(self, x):
    """The identity in the shape of the residual branch."""
    stride, name = self.stride, 'downsample'
    if self.downsample == 'avg':
      # Other names than those of 'conv': the files have other ones, too.
      x = jax.tree.map(pooling.halve, x) if stride == 2 else x
      stride, name = 1, 'avg_downsample'
    taken, given = self.apart
    apart = 0 if self.beside else taken, given
    fields = {'name': f'{name}_conv', 'apart': apart}
    x = self.conv(self.out_channels, 1, stride, **fields)(x)
    return self.norm(name=f'{name}_bn')(x)


class ResNet(classifier.VideoClassifier, kw_only=True):
  """TSN or TSM over a ResNet, ResNeXt or wide ResNet.

  Attributes:
    stage_sizes: residual blocks per stage.
    bottleneck: bottleneck blocks (ResNet-50 and deeper) or basic ones.
    width: channels of the stem; the stages have 1, 2, 4, 8 times as many.
    stem: 'plain' is a convolution of 7x7, 'deep' three of 3x3, the first two of
      half the channels (ResNet-D, Bag of Tricks by He et al., 2019).
    downsample: how the identity of a strided block shrinks: 'conv' by a 1x1
      convolution of stride 2, 'avg' by the mean of 2x2 in front of one of
      stride 1 (ResNet-D).
    groups: of the 3x3 convolutions in bottlenecks (ResNeXt).
    width_per_group: channels of a group in the first stage, for a `width` of 64
      (ResNeXt, wide ResNet).
    shift: 'blockres' shifts the input of the residual branch (paper, section
      4.1: residual shift), 'block' that of the whole block (in-place shift),
      'none' nothing (TSN).
    shift_every: with 'blockres', every n-th block of each stage is shifted; 0
      is the rule of the released models: 2 if the third stage has 23 blocks or
      more (ResNet-101 and 152), otherwise 1.
    non_local: a non-local block after every second block of stages 2 and 3.
    temporal_pool: a max-pool in front of stage 2 that halves T.
  """

  stage_sizes: tuple[int, ...]
  bottleneck: bool
  width: int = 64
  stem: str = 'plain'
  downsample: str = 'conv'
  groups: int = 1
  width_per_group: int = 64
  shift: str = 'blockres'
  shift_every: int = 0
  non_local: bool = False
  temporal_pool: bool = False

  def features(self, x, num_frames, train):
    """Maps frames [B * T, H, W, C] to features [B * T', F]."""
    conv = self.convolutions()
    first_norm, norm = self.norms(train, x.shape[0] // num_frames)
    x = self.begin(x, conv, first_norm, norm)  # [B * T, H/2, W/2, width]
    x = pooling.MaxPool()(x)
    # Channels of the blocks' input that are apart, see `Block`.
    moved = self.moved_channels(x.shape[-1]) if self.shift == 'blockres' else 0
    for stage, size in enumerate(self.stage_sizes):
      if stage == 1 and self.temporal_pool:
        x = pooling.pool_time(x, num_frames)
        num_frames //= 2
      planes = self.width * 2**stage
      blocks = []
      out_channels = planes * (4 if self.bottleneck else 1)
      for index in range(size):
        apart = moved, self.moved_channels(out_channels)
        moved = apart[1]
        name = f'layer{stage + 1}_{index}'
        shifted = is_shifted(
          self.shift, self.shift_every, self.stage_sizes, index
        )
        block = Block(
          conv=conv,
          norm=norm,
          shift=self.temporal_shift(num_frames, train) if shifted else None,
          shift_identity=self.shift == 'block',
          width=planes * self.width_per_group // 64 * self.groups,
          out_channels=out_channels,
          stride=2 if stage > 0 and index == 0 else 1,
          groups=self.groups,
          bottleneck=self.bottleneck,
          downsample=self.downsample,
          apart=apart,
          beside=stage == index == 0 and apart[0] > 0,
          stored=self.shift_behind(num_frames, train, stage, index),
          name=name,
          parent=None,
        )
        blocks.append([block])
        if self.non_local and has_non_local(stage, index):
          attention = non_local.NonLocal(
            num_frames, first_norm, self.dtype, name=f'{name}_nl', parent=None
          )
          blocks[-1].append(attention)
      x = self.apply_stage(blocks, x, train)
    return parts.joined(jax.tree.map(lambda x: jnp.mean(x, axis=(1, 2)), x))

  def shift_behind(self, num_frames, train, stage, index):
    """Whether a convolution behind a block shifts what the block gives."""
    index = (index + 1) % self.stage_sizes[stage]
    if not index and stage + 1 == len(self.stage_sizes):
      return False
    shifted = is_shifted(self.shift, self.shift_every, self.stage_sizes, index)
    return shifted and self.temporal_shift(num_frames, train)(parent=None).fuses

  def moved_channels(self, channels):
    """How many of a bottleneck's output the shifts behind it move.

    Returns:
      Their number, or 0 if they are to stay with the others: where a sum of two
      convolutions costs more than the shift, or something else reads them.
    """
    others = self.shift == 'none' or self.non_local or self.temporal_pool
    if others or not self.bottleneck:
      return 0
    moved = shift.fold_channels(channels, self.fold_div)
    moved *= len(shift.STEPS[self.direction])
    return moved if moved < channels else 0

  def begin(self, x, conv, first_norm, norm):
    """The stem without its pooling."""
    if self.stem == 'plain':
      x = conv(self.width, 7, 2, name='conv1')(x)
      return nn.relu(first_norm(name='bn1')(x))
    half = self.width // 2
    x = conv(half, 3, 2, name='stem_conv1')(x)
    x = nn.relu(first_norm(name='stem_bn1')(x))
    x = nn.relu(norm(name='stem_bn2')(conv(half, 3, name='stem_conv2')(x)))
    return nn.relu(norm(name='bn1')(conv(self.width, 3, name='stem_conv3')(x)))


def is_shifted(shift, shift_every, stage_sizes, index):
  """Whether the block `index` of every stage is shifted."""
  deep = len(stage_sizes) > 2 and stage_sizes[2] >= 23
  every = shift_every or (2 if deep else 1)
  return shift == 'block' or (shift == 'blockres' and index % every == 0)


def has_non_local(stage, index):
  """Whether a non-local block follows; for ResNet-50 the released places."""
  return stage in (1, 2) and index % 2 == 0
