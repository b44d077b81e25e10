"""BatchNorm with PyTorch's numbers, over the batch or over parts of it."""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

EPSILON = 1e-5  # added to the variance


class BatchNorm(nn.Module):
  """BatchNorm with PyTorch's numbers.

  A call normalises by the biased variance, as Flax does, but the running
  variance is the unbiased one, as in PyTorch. The statistics that a call used
  are sown into the collection 'intermediates'.

  Attributes:
    train: normalise by the batch's statistics and update the running ones.
    num_groups: number of equal, consecutive parts of the batch that are each
      normalised by their own statistics; the running statistics are updated
      with the mean over the parts.
    dtype: of the output; statistics and parameters are float32.
    momentum: weight of the old running statistics; PyTorch's `momentum` is the
      weight of the new ones.
    scale_init: initialiser of the scale.
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
    # A single group gets no axis: on CPU, it would cost a fifth more bytes.
    groups = (self.num_groups,) if self.train and self.num_groups > 1 else ()
    y = x.reshape((*groups, -1, *x.shape[1:]))  # [(G,) ..., C]
    # Statistics to normalise by, [(G,) C], and for evaluation, [C].
    group_mean, group_var = mean.value, var.value
    seen_mean, seen_var = mean.value, var.value
    if self.train:
      group_mean, group_var = moments(y.astype(jnp.float32), len(groups))
      n = x.size // group_mean.size
      seen_mean = group_mean.reshape((-1, *shape)).mean(0)
      seen_var = group_var.reshape((-1, *shape)).mean(0) * n / max(1, n - 1)
      if not self.is_initializing():
        old, new = self.momentum, 1 - self.momentum
        mean.value = old * mean.value + new * seen_mean
        var.value = old * var.value + new * seen_var
    for name, value in (('mean', seen_mean), ('var', seen_var)):
      self.sow('intermediates', name, value, _last, lambda: None)
    each = (*groups, *(1,) * (x.ndim - 1), *shape)  # [(G,) 1, ..., 1, C]
    factor = jax.lax.rsqrt(group_var + EPSILON)
    factor = factor * jnp.broadcast_to(scale, factor.shape)
    y = (y - group_mean.reshape(each)) * factor.reshape(each)
    y += bias.reshape((*(1,) * (y.ndim - 1), *shape))
    return y.reshape(x.shape).astype(self.dtype)


def moments(x, first):
  """Mean and biased variance over the axes from `first` to the last but one."""
  axes = tuple(range(first, x.ndim - 1))
  mean = x.mean(axes)
  # One pass over x, as in Flax; rounding could make the difference negative.
  return mean, jnp.maximum(0, jnp.square(x).mean(axes) - mean**2)


def _last(old, new):
  del old
  return new
