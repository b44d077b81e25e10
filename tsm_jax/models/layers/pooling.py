"""Poolings; the max-pool is fast on CPUs, and so is its gradient."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax.models.layers import convolution

_WINDOW = 3  # rows and columns; a row is a half of a window apart


def max_pool(x):
  """The maximum of 3x3 pixels, every second pixel, as PyTorch pads them.

  Where several pixels of a window are its maximum, the first has the gradient,
  row by row, as in PyTorch and in XLA. On CPU, XLA goes through every window,
  value by value, and its gradient carries the index of every pixel through its
  search. If `convolution.is_large`, `_by_views` and `_by_windows` stand for
  them, which take a small part of the time and give the same values.
  There `jax.jvp` does not go through it, and the gradient of a NaN lies where
  it may.

  Args:
    x: `[N, H, W, C]`, any float dtype.

  Returns:
    `[N, (H + 1) // 2, (W + 1) // 2, C]`, in the dtype of `x`.
  """
  return _max_pool(x) if convolution.is_large(x) else library(x)


class MaxPool(nn.Module):
  """`max_pool` as a layer, so that `folding` finds it."""

  def __call__(self, x):
    return max_pool(x)


def library(x):
  """`max_pool` as one operation, which all compilers know."""
  return nn.max_pool(x, (_WINDOW,) * 2, (2, 2), padding=((1, 1), (1, 1)))


def halve(x):
  """The mean of every 2x2 pixels; of an odd side, the last ones are alone."""
  odd = [(0, side % 2) for side in x.shape[1:3]]
  return nn.avg_pool(x, (2, 2), (2, 2), odd, count_include_pad=False)


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


@jax.custom_vjp
def _max_pool(x):
  return jax.lax.platform_dependent(x, cpu=_by_views, default=library)


def _forward(x):
  y = _max_pool(x)
  return y, (x, y)


def _backward(kept, gradient):
  def by_library(x, y, gradient):
    del y
    return jax.vjp(library, x)[1](gradient)[0]

  result = jax.lax.platform_dependent(
    *kept, gradient, cpu=_by_windows, default=by_library
  )
  return (result,)


_max_pool.defvjp(_forward, _backward)


def _by_views(x):
  """The maximum of nine views, each a pixel of every window."""
  return functools.reduce(jnp.maximum, (view for _, view in _views(x)))


def _by_windows(x, y, gradient):
  """The gradient of `x` from that of its maxima `y`.

  Every pixel adds up what the windows give that have it as their first maximum,
  in the order of the windows, as XLA does. With the windows as far apart as
  they lie in `x`, those which have a pixel in the same place are one view.
  """
  spread = [(0, 0, 0), (2, 2, 1), (2, 2, 1), (0, 0, 0)]
  zero = jnp.zeros((), gradient.dtype)
  first = jax.lax.pad(_first_maximum(x, y), jnp.int8(-1), spread)
  gradient = jax.lax.pad(gradient, zero, spread)
  height, width = x.shape[1:3]
  total = zero
  for i, j in reversed(list(np.ndindex(_WINDOW, _WINDOW))):
    # Pixel `p` is number `i` of the window that begins `i` pixels before it.
    top, left = _WINDOW - i, _WINDOW - j
    at = np.index_exp[:, top : top + height, left : left + width]
    total += jnp.where(first[at] == _WINDOW * i + j, gradient[at], zero)
  return total


def _first_maximum(x, y):
  """Which pixel of each window is its first maximum: int8, 0 to 8."""
  first = jnp.int8(_WINDOW**2 - 1)
  for number, view in reversed(_views(x)[:-1]):
    first = jnp.where(view == y, jnp.int8(number), first)
  # Without the barrier, every place would look for the maximum anew.
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
