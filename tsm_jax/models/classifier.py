"""What the networks share: convolutions, and frames in, logits out."""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors, modalities

CHANNELS = {name: m.channels for name, m in modalities.MODALITIES.items()}
REMAT = ('none', 'block', 'stage')
UNKNOWN = -1  # clips of a device, where the devices are not known

kaiming_fan_out = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


class VideoClassifier(nn.Module):
  """A 2D network over the frames of clips, whose logits are averaged.

  A subclass defines `features(x, num_frames, train)`, which maps the frames
  `[B * T, H, W, C]` to features `[B * T', F]`.

  Attributes:
    num_classes: size of the output.
    direction: 'both' or 'past', see `temporal_shift`.
    fold_div: see `temporal_shift`.
    dropout: probability, with an independent mask for every frame.
    modality: 'rgb', 'flow' or 'rgb_diff', which sets the channels of a frame.
    partial_bn: in training, only the first BatchNorm uses and moves statistics;
      the others normalise by their running ones. That their scale and bias
      stay is up to the optimiser. The norm of a non-local block, which starts
      at zero, keeps training (in the official code it stays there, and the
      block never contributes).
    frozen_bn: in training, too, all norms use their running statistics.
    ghost_clips: in training, every so many clips of a batch are normalised by
      statistics of their own; 0 is the whole batch.
    consensus: 'mean' over the frames, or 'none' for the logits of each.
    streaming: a call sees one frame of every row and the shifts keep what the
      next one needs in the collection 'cache' (see `tsm_jax.stream`).
    dtype: of the computation; parameters, statistics and logits are float32.
    remat: in training, the inside of every 'block' or of every 'stage' is
      computed again in the backward pass instead of kept; 'none' keeps it.
  """

  num_classes: int
  direction: str = 'both'
  fold_div: int = 8
  dropout: float = 0.5
  modality: str = 'rgb'
  partial_bn: bool = False
  frozen_bn: bool = False
  ghost_clips: int = 0
  consensus: str = 'mean'
  streaming: bool = False
  dtype: Any = jnp.float32
  remat: str = 'none'

  @nn.compact
  def __call__(self, frames, train=False):
    """Classifies clips.

    Args:
      frames: `[B, T, H, W, C]` float, normalised; C is 3 for RGB, 10 for flow,
        15 for RGB difference.
      train: batch statistics and dropout (rng 'dropout') if true.

    Returns:
      logits `[B, num_classes]` float32, the mean of those of the T frames; with
      `consensus='none'` those of each frame, `[B, T, num_classes]`.

    Raises:
      ValueError: if the frames have another shape than the modality's.
    """
    channels = CHANNELS[self.modality]
    if frames.ndim != 5 or frames.shape[-1] != channels:
      raise ValueError(
        f'A {self.modality} model takes frames [B, T, H, W, {channels}], got '
        f'the shape {frames.shape}.'
      )
    batch_size, num_frames = frames.shape[:2]
    if self.streaming and num_frames != 1:
      raise ValueError(f'A stream takes one frame at a time, got {num_frames}.')
    x = frames.reshape((-1, *frames.shape[2:])).astype(self.dtype)
    x = self.features(x, num_frames, train)  # [B * T', F]
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    logits = head(self.num_classes, self.dtype)(x)  # [B * T', K]
    logits = logits.astype(jnp.float32)
    logits = logits.reshape((batch_size, -1, self.num_classes))
    return logits.mean(axis=1) if self.consensus == 'mean' else logits

  def through(self, blocks, x, train):
    """Applies a stage, and keeps of it what `remat` says.

    Args:
      blocks: functions of a module, whose layers theirs become, and `x`.
      x: features.
      train: as of `__call__`.

    Returns:
      The features behind the last block.
    """

    def forward(group, module, x):
      for block in group:
        x = block(module, x)
      return x

    if not train or self.remat == 'none':
      return forward(blocks, self, x)
    groups = [[b] for b in blocks] if self.remat == 'block' else [blocks]
    for group in groups:
      # Inside, this module has another identity: `module`.
      x = nn.remat(functools.partial(forward, group))(self, x)
    return x

  def norms(self, train, batch_size, **kwargs):
    """Constructors of the first BatchNorm and of the others.

    Raises:
      InputError: if a batch of so many clips is not whole ghost batches.
    """
    clips = self.ghost_clips if train else 0
    if clips == UNKNOWN:
      raise errors.InputError(
        "model.bn_stats is 'local'; call models.set_local_clips to tell the "
        'number of devices.'
      )
    if clips and batch_size % clips:
      raise errors.InputError(
        f'model.ghost_clips is {clips}, which does not divide the batch of '
        f'{batch_size} clips.'
      )
    norm = functools.partial(
      BatchNorm,
      dtype=self.dtype,
      num_groups=batch_size // clips if clips else 1,
      **kwargs,
    )
    first = train and not self.frozen_bn
    others = first and not self.partial_bn
    return functools.partial(norm, first), functools.partial(norm, others)


def head(num_classes, dtype=jnp.float32):
  """The classifier of frames."""
  return nn.Dense(
    num_classes,
    kernel_init=nn.initializers.normal(0.001),
    dtype=dtype,
    name='head',
  )


class BatchNorm(nn.Module):
  """BatchNorm with PyTorch's numbers.

  It normalises by the biased variance of the batch, but keeps the unbiased one
  for evaluation, where Flax's keeps the biased one. The statistics that a call
  used are also in the collection 'intermediates', for whoever asks for it.

  Attributes:
    train: normalise by the batch, and move the running statistics.
    num_groups: consecutive equal parts of the batch that are normalised by
      statistics of their own; the running ones move to the mean of these.
    dtype: of the output; statistics and parameters are float32.
    momentum: of the running statistics; PyTorch's 0.1 is that of the batch's.
    scale_init: of the scale.
  """

  train: bool
  num_groups: int = 1
  dtype: Any = jnp.float32
  momentum: float = 0.9
  scale_init: Callable[..., Any] = nn.initializers.ones

  @nn.compact
  def __call__(self, x):  # [..., C]
    shape = x.shape[-1:]
    mean = self.variable('batch_stats', 'mean', jnp.zeros, shape)
    var = self.variable('batch_stats', 'var', jnp.ones, shape)
    scale = self.param('scale', self.scale_init, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    # No axis of a single group: compiled for CPU, it costs a fifth more bytes.
    groups = (self.num_groups,) if self.train and self.num_groups > 1 else ()
    y = x.reshape((*groups, -1, *x.shape[1:]))  # [(G,) ..., C]
    # [(G,) C], by which is normalised, and [C], what evaluation wants.
    group_mean, group_var = mean.value, var.value
    seen_mean, seen_var = mean.value, var.value
    if self.train:
      group_mean, group_var = moments(y.astype(jnp.float32), len(groups))
      n = x.size // group_mean.size
      seen_mean = group_mean.reshape((-1, *shape)).mean(0)
      seen_var = group_var.reshape((-1, *shape)).mean(0) * n / max(1, n - 1)
      if not self.is_initializing():
        kept, new = self.momentum, 1 - self.momentum
        mean.value = kept * mean.value + new * seen_mean
        var.value = kept * var.value + new * seen_var
    for name, value in (('mean', seen_mean), ('var', seen_var)):
      self.sow('intermediates', name, value, _last, lambda: None)
    each = (*groups, *(1,) * (x.ndim - 1), *shape)  # [(G,) 1, ..., 1, C]
    factor = jax.lax.rsqrt(group_var + 1e-5)
    factor = factor * jnp.broadcast_to(scale, factor.shape)
    y = (y - group_mean.reshape(each)) * factor.reshape(each)
    y += bias.reshape((*(1,) * (y.ndim - 1), *shape))
    return y.reshape(x.shape).astype(self.dtype)


def moments(x, first):
  """Mean and biased variance over all axes from `first` on but the last."""
  axes = tuple(range(first, x.ndim - 1))
  mean = x.mean(axes)
  # In one pass over x, as Flax has it; rounding could make it negative.
  return mean, jnp.maximum(0, jnp.square(x).mean(axes) - mean**2)


def _last(old, new):
  del old
  return new


def convolution(
  features,
  kernel,
  stride=1,
  groups=1,
  use_bias=False,
  dtype=jnp.float32,
  name=None,
):
  """A convolution, padded by half its kernel on either side."""
  return nn.Conv(
    features,
    (kernel, kernel),
    (stride, stride),
    padding=kernel // 2,
    feature_group_count=groups,
    use_bias=use_bias,
    kernel_init=kaiming_fan_out,
    dtype=dtype,
    conv_general_dilated=conv_or_product,
    name=name,
  )


def conv_or_product(x, kernel, strides, padding, **kwargs):
  """A convolution, in the form that the platform computes fastest.

  A 1x1 one is the matrix product that it is: on CPU that makes ResNets 1.2 to
  1.5 times faster, a TPU compiles both to the same product. With a stride it
  stays a convolution, because XLA's compiler for GPUs dies on a product of what
  is sliced (openxla/xla issue 47381). A depthwise one is a sum of shifted
  products on CPU, where XLA's own is some 10 times slower.
  """
  groups = kwargs['feature_group_count']

  def conv(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, **kwargs)

  def depthwise(x, kernel):
    return sum_of_products(x, kernel, strides, padding)

  if kernel.shape[:2] == (1, 1) and groups == 1 and tuple(strides) == (1, 1):
    return jnp.einsum(
      'nhwc,cd->nhwd', x, kernel[0, 0], precision=kwargs.get('precision')
    )
  if groups > 1 and groups == kernel.shape[-1] == x.shape[-1]:
    return jax.lax.platform_dependent(x, kernel, cpu=depthwise, default=conv)
  return conv(x, kernel)


def sum_of_products(x, kernel, strides, padding):
  """A depthwise convolution, one element of its kernel at a time.

  Args:
    x: `[N, H, W, C]`, any float dtype; the sum is float32.
    kernel: `[h, w, 1, C]`.
    strides: of H and W.
    padding: (before, after) of H and W.

  Returns:
    `[N, H', W', C]`, dtype of `x`.
  """
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  sides = [
    (size - k) // stride * stride + 1
    for size, k, stride in zip(x.shape[1:3], kernel.shape[:2], strides)
  ]
  total = 0.0
  for i, j in np.ndindex(kernel.shape[:2]):
    view = x[:, i : i + sides[0] : strides[0], j : j + sides[1] : strides[1]]
    weight = kernel[i, j].reshape((1, 1, 1, -1)).astype(jnp.float32)
    total += view.astype(jnp.float32) * weight
  return total.astype(x.dtype)
