"""Pooling, in the form each platform runs fastest."""

from flax import linen as nn
import jax
import jax.numpy as jnp


@jax.custom_vjp
def max_pool(x):
  """The largest of every 3x3 pixels, at every second place; padded by one.

  On CPU, the gradient of XLA's own takes seven times as long as this one, and
  is the same: of equal pixels, the first in the order of rows has it.

  Args:
    x: `[N, H, W, C]`, any float dtype.

  Returns:
    `[N, (H + 1) // 2, (W + 1) // 2, C]`, of the same dtype.
  """
  return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))


def _forward(x):
  return max_pool(x), x


def _backward(x, gradient):
  def by_xla(x, gradient):
    return jax.vjp(max_pool.fun, x)[1](gradient)[0]

  return (
    jax.lax.platform_dependent(x, gradient, cpu=_by_phase, default=by_xla),
  )


max_pool.defvjp(_forward, _backward)


def _by_phase(x, gradient):
  """The gradient of `x`, for even and odd rows and columns on their own.

  An even row is in one window, in its middle; an odd one is the last of one and
  the first of the next.
  """
  parts = _parts(x, gradient)
  rows = [
    [parts[1, 1], parts[1, 2] + _next(parts[1, 0], 2)],
    [
      parts[2, 1] + _next(parts[0, 1], 1),
      parts[2, 2]
      + _next(parts[2, 0], 2)
      + _next(parts[0, 2], 1)
      + _next(_next(parts[0, 0], 1), 2),
    ],
  ]
  phases = jnp.stack([jnp.stack(row, 3) for row in rows], 2)
  size, height, _, width, *_ = phases.shape  # [N, H', 2, W', 2, C]
  whole = phases.reshape(size, 2 * height, 2 * width, -1)
  return whole[:, : x.shape[1], : x.shape[2]]


def _parts(x, gradient):
  """What each pixel of a window gets, `{(row, column): [N, H', W', C]}`."""
  height, width = gradient.shape[1:3]
  padding = ((0, 0), (1, 1), (1, 1), (0, 0))
  padded = jnp.pad(x, padding, constant_values=-jnp.inf)
  views = {
    (i, j): padded[:, i : i + 2 * height - 1 : 2, j : j + 2 * width - 1 : 2]
    for i in range(3)
    for j in range(3)
  }
  largest = max_pool(x)
  parts, taken = {}, jnp.zeros(largest.shape, bool)
  for place, view in views.items():
    is_it = (view == largest) & ~taken
    taken |= is_it
    parts[place] = jnp.where(is_it, gradient, 0)
  return parts


def _next(part, axis):
  """`part` without its first place on an axis, and zeros behind its end."""
  padding = [(0, int(i == axis)) for i in range(part.ndim)]
  return jax.lax.slice_in_dim(
    jnp.pad(part, padding), 1, part.shape[axis] + 1, axis=axis
  )
