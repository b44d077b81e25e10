"""The end of a residual block, in a form that a CPU computes once."""

from flax import linen as nn
import jax
import jax.numpy as jnp

from tsm_jax.models.layers import convolution


def relu_of_sum(x, y):
  """The ReLU of the sum of an identity and a residual branch.

  XLA's compiler for CPUs makes what has one large operand, as a ReLU, a part of
  all that reads it, and then the sum in front of it, too, as nothing else reads
  that: every block would add up all blocks of its stage once more. A sum at
  the end has two operands, and is stored where several read it. So features
  that `convolution.is_large` says of are `max(y, -x) + x` there.

  Args:
    x: the identity, `[N, H, W, C]`, any float dtype.
    y: the residual branch, the same shape and dtype.

  Returns:
    `[N, H, W, C]`, same dtype: the same values and gradients on all platforms,
    but for an identity of minus infinity, which gives NaN on a CPU.
  """
  return _relu_of_sum(x, y) if convolution.is_large(y) else plain(x, y)


class ReluOfSum(nn.Module):
  """`relu_of_sum` as a layer, so that `folding` finds it.

  Attributes:
    stored: whether it is `stored_relu_of_sum`.
  """

  stored: bool = False

  def __call__(self, x, y):  # [N, H, W, C], arrays or `parts.Parts`
    return jax.tree.map(
      stored_relu_of_sum if self.stored else relu_of_sum, x, y
    )


def plain(x, y):
  """`relu_of_sum` in one form for all compilers."""
  return jax.tree.map(lambda x, y: nn.relu(x + y), x, y)


def _stored(x, y):
  return jnp.maximum(y, -x) + x


@jax.custom_jvp
def _relu_of_sum(x, y):
  return jax.lax.platform_dependent(x, y, cpu=_stored, default=plain)


@_relu_of_sum.defjvp
def _tangent(primals, tangents):
  return _with_tangent(_relu_of_sum(*primals), *tangents)


@jax.custom_jvp
def stored_relu_of_sum(x, y):
  """`relu_of_sum` of which each reader shifts what a TPU stores.

  In training, its compiler would add up the sum once more for a reader, or
  store it twice, once for the gradient.
  """
  return plain(x, y)


@stored_relu_of_sum.defjvp
def _stored_tangent(primals, tangents):
  result = jax.lax.optimization_barrier(plain(*primals))
  return _with_tangent(result, *tangents)


def _with_tangent(result, x, y):
  return result, jnp.where(result > 0, x + y, 0)
