"""What the networks share: convolutions, and frames in, logits out."""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

CHANNELS = {'rgb': 3, 'flow': 10, 'rgb_diff': 15}  # of a frame, by modality

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
    consensus: 'mean' over the frames, or 'none' for the logits of each.
    streaming: a call sees one frame of every row and the shifts keep what the
      next one needs in the collection 'cache' (see `tsm_jax.stream`).
    dtype: of the computation; parameters and logits are float32.
  """

  num_classes: int
  direction: str = 'both'
  fold_div: int = 8
  dropout: float = 0.5
  modality: str = 'rgb'
  consensus: str = 'mean'
  streaming: bool = False
  dtype: Any = jnp.float32

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
  for evaluation, where Flax's keeps the biased one.

  Attributes:
    train: normalise by the batch, and move the running statistics.
    dtype: of the output; statistics and parameters are float32.
    momentum: of the running statistics; PyTorch's 0.1 is that of the batch's.
    scale_init: of the scale.
  """

  train: bool
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
    batch_mean, batch_var = mean.value, var.value
    if self.train:
      axes = tuple(range(x.ndim - 1))
      y = x.astype(jnp.float32)
      batch_mean = y.mean(axes)
      # In one pass over y, as Flax has it; rounding could make it negative.
      batch_var = jnp.maximum(0, jnp.square(y).mean(axes) - batch_mean**2)
      if not self.is_initializing():
        n = x.size // shape[0]
        kept, new = self.momentum, 1 - self.momentum
        mean.value = kept * mean.value + new * batch_mean
        var.value = kept * var.value + new * batch_var * n / max(1, n - 1)
    factor = jax.lax.rsqrt(batch_var + 1e-5) * scale
    ones = (1,) * (x.ndim - 1)
    y = (x - batch_mean.reshape((*ones, -1))) * factor.reshape((*ones, -1))
    return (y + bias.reshape((*ones, -1))).astype(self.dtype)


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
  1.5 times faster, a TPU compiles both to the same product. A depthwise one is
  a sum of shifted products on CPU, where XLA's own is some 10 times slower.
  """
  groups = kwargs['feature_group_count']

  def conv(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, **kwargs)

  def depthwise(x, kernel):
    return sum_of_products(x, kernel, strides, padding)

  if kernel.shape[:2] == (1, 1) and groups == 1:
    x = x[:, :: strides[0], :: strides[1]]
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
