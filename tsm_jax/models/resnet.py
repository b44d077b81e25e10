"""ResNet with the temporal shift, after torchvision's conventions.

Names follow torchvision (`conv1`, `layer2_0`, `downsample_conv`, ...), so that
a weight is found by its name in either library.
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from tsm_jax.models import classifier, non_local
from tsm_jax.models import shift as shift_lib

# depth: (uses bottleneck blocks, blocks per stage)
DEPTHS = {
  18: (False, (2, 2, 2, 2)),
  34: (False, (3, 4, 6, 3)),
  50: (True, (3, 4, 6, 3)),
  101: (True, (3, 4, 23, 3)),
  152: (True, (3, 8, 36, 3)),
}
SHIFTS = ('blockres', 'block', 'none')


class Block(nn.Module):
  """A residual block, basic or bottleneck (stride on the 3x3)."""

  conv: Callable[..., Any]
  norm: Callable[..., Any]
  shift: Callable[..., Any] | None  # for the input of the residual branch
  shift_identity: bool  # shift the identity as well (the in-place form)
  width: int  # of the 3x3 convolutions
  out_channels: int
  stride: int
  groups: int
  bottleneck: bool

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C]
    y = self.shift(name='shift')(x) if self.shift else x
    if self.shift_identity:
      x = y
    if self.bottleneck:
      y = self.conv(self.width, 1, name='conv1')(y)
      y = nn.relu(self.norm(name='bn1')(y))
      y = self.conv(self.width, 3, self.stride, self.groups, name='conv2')(y)
      y = nn.relu(self.norm(name='bn2')(y))
      y = self.conv(self.out_channels, 1, name='conv3')(y)
      y = self.norm(name='bn3')(y)
    else:
      y = self.conv(self.width, 3, self.stride, name='conv1')(y)
      y = nn.relu(self.norm(name='bn1')(y))
      y = self.conv(self.out_channels, 3, name='conv2')(y)
      y = self.norm(name='bn2')(y)
    if x.shape != y.shape:
      x = self.conv(self.out_channels, 1, self.stride, name='downsample_conv')(
        x
      )
      x = self.norm(name='downsample_bn')(x)
    return nn.relu(x + y)  # [B * T, H / stride, W / stride, out_channels]


class ResNet(classifier.VideoClassifier, kw_only=True):
  """TSN or TSM over a ResNet, ResNeXt or wide ResNet.

  Attributes:
    stage_sizes: residual blocks per stage.
    bottleneck: bottleneck blocks (ResNet-50 and deeper) or basic ones.
    width: channels of the stem; stages have 1, 2, 4, 8 times that.
    groups: of the 3x3 convolutions in bottlenecks (ResNeXt).
    width_per_group: of these, in the first stage (wide ResNet, ResNeXt).
    shift: 'blockres' inside the residual branch (paper section 4.1, residual
      shift), 'block' in front of the whole block (in-place shift) or 'none'
      (TSN).
    shift_every: in each stage, every n-th block is shifted with 'blockres'; 0
      is the rule of the released models: 2 from 23 blocks in the third stage on
      (ResNet-101 and 152), else 1.
    non_local: a non-local block after every second block of stages 2 and 3.
    temporal_pool: max-pool that halves T in front of stage 2.
  """

  stage_sizes: tuple[int, ...]
  bottleneck: bool
  width: int = 64
  groups: int = 1
  width_per_group: int = 64
  shift: str = 'blockres'
  shift_every: int = 0
  non_local: bool = False
  temporal_pool: bool = False

  def features(self, x, num_frames, train):
    """Maps frames [B * T, H, W, C] to features [B * T', F]."""
    conv = functools.partial(classifier.convolution, dtype=self.dtype)
    first_norm, norm = self.norms(train, len(x) // num_frames)
    x = conv(self.width, 7, 2, name='conv1')(x)  # [B * T, H/2, W/2, width]
    x = nn.relu(first_norm(name='bn1')(x))
    x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
    for stage, size in enumerate(self.stage_sizes):
      if stage == 1 and self.temporal_pool:
        x = pool_time(x, num_frames)
        num_frames //= 2
      block = functools.partial(
        ResNet.block,
        conv=conv,
        norm=norm,
        first_norm=first_norm,
        num_frames=num_frames,
        stage=stage,
      )
      blocks = [functools.partial(block, index=i) for i in range(size)]
      x = self.through(blocks, x, train)
    return jnp.mean(x, axis=(1, 2))

  def block(self, x, conv, norm, first_norm, num_frames, stage, index):
    """The block `index` of a stage, with the non-local one behind it."""
    name = f'layer{stage + 1}_{index}'
    planes = self.width * 2**stage
    x = Block(
      conv=conv,
      norm=norm,
      shift=self.shift_of(index, num_frames),
      shift_identity=self.shift == 'block',
      width=planes * self.width_per_group // 64 * self.groups,
      out_channels=planes * (4 if self.bottleneck else 1),
      stride=2 if stage > 0 and index == 0 else 1,
      groups=self.groups,
      bottleneck=self.bottleneck,
      name=name,
    )(x)
    if not self.non_local or not has_non_local(stage, index):
      return x
    clips = x.reshape((-1, num_frames, *x.shape[1:]))
    attend = non_local.NonLocal(first_norm, self.dtype, name=f'{name}_nl')
    return attend(clips).reshape(x.shape)

  def shift_of(self, index, num_frames):
    """The constructor of the shift for a stage's block `index`, or None."""
    if not is_shifted(self.shift, self.shift_every, self.stage_sizes, index):
      return None
    return functools.partial(
      shift_lib.TemporalShift,
      num_frames,
      self.fold_div,
      self.direction,
      self.streaming,
    )


def is_shifted(shift, shift_every, stage_sizes, index):
  """Whether the block `index` of every stage is shifted."""
  deep = len(stage_sizes) > 2 and stage_sizes[2] >= 23
  every = shift_every or (2 if deep else 1)
  return shift == 'block' or (shift == 'blockres' and index % every == 0)


def has_non_local(stage, index):
  """Whether a non-local block follows; for ResNet-50 the released places."""
  return stage in (1, 2) and index % 2 == 0


def pool_time(x, num_frames):
  """Halves T by a max-pool of kernel 3: [B * T, ...] -> [B * T / 2, ...]."""
  if num_frames % 2:
    raise ValueError(
      f'temporal_pool halves the number of frames, which is {num_frames}; it '
      f'must be even.'
    )
  clips = x.reshape((-1, num_frames, *x.shape[1:]))
  clips = nn.max_pool(
    clips, (3, 1, 1), (2, 1, 1), padding=((1, 1), (0, 0), (0, 0))
  )
  return clips.reshape((-1, *x.shape[1:]))
