"""The non-local block (Wang et al., 2018), as in the released NL models."""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

# PyTorch's default for convolutions: kaiming-uniform with a = sqrt(5), which
# is a variance of 1 / (3 fan_in).
_kernel_init = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')


class NonLocal(nn.Module):
  """Attention of every position of a clip to all others, added to the input.

  For a clip `x` of N = T H W positions, `y = x + BN(W softmax(q k^T) v)` with
  queries `q`, keys `k` and values `v` of C / 2 channels: the embedded Gaussian
  form. Scores are not scaled; keys and values are max-pooled by 2 in H and W.
  At initialisation the block is the identity, because the scale of the norm is
  zero.

  Attributes:
    num_frames: T of the clips, whose frames are folded into the batch.
    norm: constructor of the BatchNorm.
    dtype: of the computation; the softmax is in float32.
  """

  num_frames: int
  norm: Any
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C]
    clips = x.reshape((-1, self.num_frames, *x.shape[1:]))
    batch_size, *_, channels = clips.shape
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

    queries = flat(product(inter, 'theta')(clips))  # [B, T * H * W, C / 2]
    # [B, T * H/2 * W/2, C / 2]
    keys = flat(pooled(product(inter, 'phi')(clips)))
    values = flat(pooled(product(inter, 'g')(clips)))
    scores = jnp.einsum('bqc,bkc->bqk', queries, keys)
    weights = jax.nn.softmax(scores.astype(jnp.float32)).astype(clips.dtype)
    y = jnp.einsum('bqk,bkc->bqc', weights, values)
    y = product(channels, 'out')(y.reshape((*clips.shape[:-1], inter)))
    y = self.norm(scale_init=nn.initializers.zeros, name='out_bn')(y)
    return (clips + y).reshape(x.shape)


def _uniform(limit):
  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -limit, limit)

  return init
