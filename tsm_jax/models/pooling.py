"""Max-pooling that is fast on CPUs, and so is its gradient."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax.models import convolution

_WINDOW = 3  # rows and columns; a row is a half of a window apart


def max_pool(x):
  """The maximum of 3x3 pixels, every second pixel, as PyTorch pads them.

  Where several pixels of a window are its maximum, the first has the gradient,
  row by row, as in PyTorch and in XLA. On CPU, XLA goes through every window,
  value by value, and its gradient carries the index of every pixel through its
  search. If `convolution.is_large`, `_by_views` and `_by_parity` stand for
  them, which take a quarter and a sixth of the time and give the same values.
  There `jax.jvp` does not go through it, and the gradient of a NaN lies where
  it may.

  Args:
    x: `[N, H, W, C]`, any float dtype.

  Returns:
    `[N, (H + 1) // 2, (W + 1) // 2, C]`, in the dtype of `x`.
  """
  return _max_pool(x) if convolution.is_large(x) else _library(x)


def _library(x):
  return nn.max_pool(x, (_WINDOW,) * 2, (2, 2), padding=((1, 1), (1, 1)))


@jax.custom_vjp
def _max_pool(x):
  return jax.lax.platform_dependent(x, cpu=_by_views, default=_library)


def _forward(x):
  y = _max_pool(x)
  return y, (x, y)


def _backward(kept, gradient):
  def by_library(x, y, gradient):
    del y
    return jax.vjp(_library, x)[1](gradient)[0]

  result = jax.lax.platform_dependent(
    *kept, gradient, cpu=_by_parity, default=by_library
  )
  return (result,)


_max_pool.defvjp(_forward, _backward)


def _by_views(x):
  """The maximum of nine views, each a pixel of every window."""
  return functools.reduce(jnp.maximum, (view for _, view in _views(x)))


def _by_parity(x, y, gradient):
  """The gradient of `x` from that of its maxima `y`.

  Of a window, an even row of `x` can only be the middle one; an odd row is the
  last of one window and the first of the next. So pixels of each parity sum up
  what one, two or four windows say, and no window searches for its pixel.
  """
  first = _first_maximum(x, y)

  def given(i, j):
    """What pixel `(i, j)` of a window gets, where the pixel lies."""
    part = jnp.where(first == _WINDOW * i + j, gradient, 0)
    # The next window begins with the pixel that is the last of this one.
    down, right = int(i == 0), int(j == 0)
    part = jnp.pad(part, ((0, 0), (0, down), (0, right), (0, 0)))
    return part[:, down:, right:]

  parities = {0: (1,), 1: (2, 0)}  # rows of the windows that see such a pixel
  rows = []
  for row in parities:
    columns = [
      sum(given(i, j) for i in parities[row] for j in parities[column])
      for column in parities
    ]
    rows.append(jnp.stack(columns, axis=3))
  pixels = jnp.stack(rows, axis=2)  # [N, h, 2, w, 2, C]
  batch, height, _, width, _, channels = pixels.shape
  pixels = pixels.reshape((batch, 2 * height, 2 * width, channels))
  return pixels[:, : x.shape[1], : x.shape[2]]


def _first_maximum(x, y):
  """Which pixel of each window is its first maximum: int8, 0 to 8."""
  first = jnp.int8(_WINDOW**2 - 1)
  for number, view in reversed(_views(x)[:-1]):
    first = jnp.where(view == y, jnp.int8(number), first)
  # Without the barrier, every parity would look for the maximum anew.
  return jax.lax.optimization_barrier(first)


def _views(x):
  """What lies at each pixel of the windows.

  Returns:
    A list of `(number, view)`, row by row; a view is `[N, h, w, C]`, and beyond
    the border -inf.
  """
  padded = jnp.pad(
    x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf
  )
  height, width = ((side + 1) // 2 * 2 - 1 for side in x.shape[1:3])
  return [
    (_WINDOW * i + j, padded[:, i : i + height : 2, j : j + width : 2])
    for i, j in np.ndindex(_WINDOW, _WINDOW)
  ]
