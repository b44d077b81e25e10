"""The temporal shift (paper, sections 3 and 4): moved channels, no arithmetic.

Of the `C` channels, the first `fold = C // fold_div` come from the next frame,
the second `fold` from the previous frame, and the rest stay. The order of the
two groups is that of the released checkpoints.
"""

import jax.numpy as jnp

from tsm_jax.models import shift_forms

# By direction: where each group of channels comes from, see `shift_forms`.
STEPS = {'both': (1, -1), 'past': (-1,)}
DIRECTIONS = tuple(STEPS)


def temporal_shift(x, fold_div=8, direction='both', form='select'):
  """Exchanges some channels of every frame with its neighbours in time.

  With `fold = C // fold_div` and `direction='both'` (offline, paper, section
  4.1), frame `t` of the output is::

    y[t] = concat(x[t + 1, :fold], x[t - 1, fold : 2 * fold], x[t, 2 * fold :])

  With `direction='past'` (online, section 4.2) nothing comes from the future::

    y[t] = concat(x[t - 1, :fold], x[t, fold:])

  Beyond the ends of a clip there are zeros. The clips of a batch never mix.

  Args:
    x: features `[B, T, H, W, C]`, any float dtype.
    fold_div: a group has `C // fold_div` channels; fewer than `fold_div`
      channels stay as they are.
    direction: 'both' or 'past'.
    form: how it is written, which changes no value: 'select', 'pad',
      'concatenate' or 'roll'.

  Returns:
    `[B, T, H, W, C]`, same dtype.

  Raises:
    ValueError: if `x` does not have five axes, `fold_div` is not a positive
      integer, or `direction` or `form` is unknown.

  >>> import jax.numpy as jnp
  >>> from tsm_jax.models import shift
  >>> x = jnp.arange(12).reshape((1, 3, 1, 1, 4))  # three frames
  >>> shift.temporal_shift(x, fold_div=4).reshape((3, 4))
  Array([[ 4,  0,  2,  3],
         [ 8,  1,  6,  7],
         [ 0,  5, 10, 11]], dtype=int32)
  >>> shift.temporal_shift(x, 4, direction='past').reshape((3, 4))
  Array([[ 0,  1,  2,  3],
         [ 0,  5,  6,  7],
         [ 4,  9, 10, 11]], dtype=int32)
  """
  if x.ndim != 5:
    raise ValueError(
      f'temporal_shift needs [B, T, H, W, C], got the shape {x.shape}.'
    )
  fold = fold_channels(x.shape[-1], fold_div)
  if direction not in DIRECTIONS:
    raise ValueError(f'direction is {direction!r}; choose from {DIRECTIONS}.')
  if form not in shift_forms.FORMS[1:]:
    raise ValueError(f'form is {form!r}; choose from {shift_forms.FORMS[1:]}.')
  return shift_forms.shifted(x, fold, STEPS[direction], form)


def temporal_shift_step(x, cache, fold_div=8):
  """Computes `temporal_shift` with `direction='past'`, one frame at a time.

  Args:
    x: features of the current frame, `[B, H, W, C]`.
    cache: the first `C // fold_div` channels of the previous frame,
      `[B, H, W, C // fold_div]`; zeros before the first frame.
    fold_div: as in `temporal_shift`.

  Returns:
    `(y, cache)`: the shifted features `[B, H, W, C]`, and the cache for the
    next frame, the first channels of `x`.

  Raises:
    ValueError: if `cache` does not have the shape of these channels.

  >>> import jax.numpy as jnp
  >>> from tsm_jax.models import shift
  >>> cache = jnp.zeros((1, 1, 1, 1), int)
  >>> for frame in jnp.arange(12).reshape((3, 1, 1, 1, 4)):
  ...   y, cache = shift.temporal_shift_step(frame, cache, fold_div=4)
  ...   print(y.ravel(), cache.ravel())
  [0 1 2 3] [0]
  [0 5 6 7] [4]
  [ 4  9 10 11] [8]
  """
  fold = _check_cache(x, cache, fold_div)
  return _moved(_widened(cache, x), x, fold), x[..., :fold]


def temporal_shift_chunk(x, cache, fold_div=8):
  """Computes `temporal_shift` with `direction='past'`, some frames at a time.

  Args:
    x: features of frames that follow each other, `[B, T, H, W, C]`.
    cache: see `temporal_shift_step`.
    fold_div: as in `temporal_shift`.

  Returns:
    `(y, cache)`: the shifted features `[B, T, H, W, C]`, and the cache for the
    frame after the last.

  Raises:
    ValueError: if `cache` does not have the shape of these channels.

  >>> import jax.numpy as jnp
  >>> frames = jnp.arange(12).reshape((1, 3, 1, 1, 4))
  >>> y, cache = temporal_shift_chunk(frames, -jnp.ones((1, 1, 1, 1), int), 4)
  >>> y.reshape((3, 4))
  Array([[-1,  1,  2,  3],
         [ 0,  5,  6,  7],
         [ 4,  9, 10, 11]], dtype=int32)
  >>> cache.ravel()
  Array([8], dtype=int32)
  """
  fold = _check_cache(x[:, 0], cache, fold_div)
  before = _widened(cache, x)[:, None]
  previous = jnp.concatenate([before, x[:, :-1]], axis=1)
  return _moved(previous, x, fold), x[:, -1, ..., :fold]


def concatenated_shift(x, fold_div=8, direction='both'):
  """`temporal_shift` in slices and concatenations only.

  Other compilers than XLA know these from all networks, where a selection
  among features is rare.

  Takes and returns `[B, T, H, W, C]`, any dtype; see `temporal_shift`.

  >>> x = jnp.arange(12).reshape((1, 3, 1, 1, 4))
  >>> concatenated_shift(x, fold_div=4).reshape((3, 4))
  Array([[ 4,  0,  2,  3],
         [ 8,  1,  6,  7],
         [ 0,  5, 10, 11]], dtype=int32)
  """
  fold = fold_channels(x.shape[-1], fold_div)
  return shift_forms.shifted(x, fold, STEPS[direction], 'concatenate')


def _moved(previous, x, fold):
  """The first channels of the previous frame, the others of `x`."""
  # A selection is fused into what makes `x`, where a concatenation would write
  # and read it once more: on CPU, with ResNet-50, 19 MB of every step.
  return jnp.where(jnp.arange(x.shape[-1]) < fold, previous, x)


def _widened(cache, x):
  """A cache with as many channels as `x`; the others are never looked at."""
  missing = x.shape[-1] - cache.shape[-1]
  return jnp.pad(cache, (*[(0, 0)] * (cache.ndim - 1), (0, missing)))


def _check_cache(x, cache, fold_div):
  """The channels in the cache of features `[B, H, W, C]`."""
  fold = fold_channels(x.shape[-1], fold_div)
  if cache.shape != (*x.shape[:-1], fold):
    raise ValueError(
      f'The cache of features {x.shape} with fold_div={fold_div} has the shape '
      f'{(*x.shape[:-1], fold)}, got {cache.shape}.'
    )
  return fold


def fold_channels(num_channels, fold_div):
  """Number of channels in one shifted group: `num_channels // fold_div`."""
  if fold_div != int(fold_div) or fold_div < 1:
    raise ValueError(
      f'fold_div is {fold_div!r}; it must be a positive integer.'
    )
  return num_channels // int(fold_div)
