"""The non-local block (Wang et al., 2018), as in the released NL models."""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

# torch's default for a convolution: kaiming-uniform with a = sqrt(5), that is,
# a variance of 1 / (3 fan_in).
_kernel_init = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')


class NonLocal(nn.Module):
  """Adds to every position what it attends to in the whole clip.

  The embedded Gaussian form with keys and values max-pooled by 2 in space, and
  scores that are not scaled. At initialisation it is the identity.

  Attributes:
    norm: constructor of the last BatchNorm.
    dtype: of the computation; the softmax is float32.
  """

  norm: Any
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):  # [B, T, H, W, C]
    batch_size, *_, channels = x.shape
    inter = channels // 2

    def product(features, name):
      fan_in = channels if features == inter else inter
      return nn.Dense(
        features,
        kernel_init=_kernel_init,
        bias_init=_uniform(fan_in**-0.5),
        dtype=self.dtype,
        name=name,
      )

    def pooled(y):
      return nn.max_pool(y, (1, 2, 2), (1, 2, 2))

    def flat(y):
      return y.reshape((batch_size, -1, inter))

    queries = flat(product(inter, 'theta')(x))  # [B, T * H * W, C / 2]
    keys = flat(pooled(product(inter, 'phi')(x)))  # [B, T * H/2 * W/2, C / 2]
    values = flat(pooled(product(inter, 'g')(x)))  # [B, T * H/2 * W/2, C / 2]
    scores = jnp.einsum('bqc,bkc->bqk', queries, keys)
    weights = jax.nn.softmax(scores.astype(jnp.float32)).astype(x.dtype)
    y = jnp.einsum('bqk,bkc->bqc', weights, values)
    y = product(channels, 'out')(y.reshape((*x.shape[:-1], inter)))
    y = self.norm(scale_init=nn.initializers.zeros, name='out_bn')(y)
    return x + y  # [B, T, H, W, C]


def _uniform(limit):
  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -limit, limit)

  return init
