"""The temporal shift (paper, sections 3 and 4): moved channels, no arithmetic.

Of the `C` channels, `fold = C // fold_div` carry the features of the next frame
and the following `fold` those of the previous frame; the rest stay. The order
of the two groups is that of the released checkpoints.
"""

from flax import linen as nn
import jax.numpy as jnp

DIRECTIONS = ('both', 'past')


def temporal_shift(x, fold_div=8, direction='both'):
  """Moves some channels of every frame to its neighbours in time.

  With `direction='both'` (offline, paper section 4.1), channels `[0, fold)` of
  frame `t` become those of frame `t + 1` and channels `[fold, 2 * fold)` those
  of frame `t - 1`. With `'past'` (online, section 4.2), channels `[0, fold)`
  become those of frame `t - 1` and nothing comes from the future. Beyond the
  ends of a clip there are zeros. Clips of a batch never mix.

  The shift is written as a selection between shifted views because that is what
  a TPU fuses best into the convolution that follows.

  Args:
    x: features `[B, T, H, W, C]`, any float dtype.
    fold_div: a group is `C // fold_div` channels (floor; 0 means identity).
    direction: 'both' or 'past'.

  Returns:
    `[B, T, H, W, C]`, same dtype.

  Raises:
    ValueError: if `x` has not five axes, `fold_div` is not a positive integer
      or `direction` is unknown.
  """
  if x.ndim != 5:
    raise ValueError(
      f'temporal_shift needs [B, T, H, W, C], got the shape {x.shape}.'
    )
  fold = fold_channels(x.shape[-1], fold_div)
  if direction not in DIRECTIONS:
    raise ValueError(f'direction is {direction!r}; choose from {DIRECTIONS}.')
  no_frame = jnp.zeros_like(x[:, :1])
  previous = jnp.concatenate([no_frame, x[:, :-1]], axis=1)
  channel = jnp.arange(x.shape[-1])
  if direction == 'past':
    return jnp.where(channel < fold, previous, x)
  following = jnp.concatenate([x[:, 1:], no_frame], axis=1)
  moved = jnp.where(channel < fold, following, previous)
  return jnp.where(channel < 2 * fold, moved, x)


def temporal_shift_step(x, cache, fold_div=8):
  """One frame of the online shift: `direction='past'`, a frame at a time.

  Args:
    x: features of the current frame `[B, H, W, C]`.
    cache: the first `C // fold_div` channels of the previous frame,
      `[B, H, W, C // fold_div]`; zeros before the first frame.
    fold_div: as in `temporal_shift`.

  Returns:
    `(y, cache)`: the shifted features `[B, H, W, C]` and the cache for the next
    frame, the unshifted first channels of `x`.

  Raises:
    ValueError: if `cache` has not `C // fold_div` channels.
  """
  fold = fold_channels(x.shape[-1], fold_div)
  if cache.shape != (*x.shape[:-1], fold):
    raise ValueError(
      f'The cache of features {x.shape} with fold_div={fold_div} has the shape '
      f'{(*x.shape[:-1], fold)}, got {cache.shape}.'
    )
  return jnp.concatenate([cache, x[..., fold:]], axis=-1), x[..., :fold]


def fold_channels(num_channels, fold_div):
  """Number of channels in one shifted group: `num_channels // fold_div`."""
  if fold_div != int(fold_div) or fold_div < 1:
    raise ValueError(
      f'fold_div is {fold_div!r}; it must be a positive integer.'
    )
  return num_channels // int(fold_div)


class TemporalShift(nn.Module):
  """The shift in front of a layer, for frames that are folded in the batch.

  Attributes:
    num_frames: T of the clips.
    fold_div: see `temporal_shift`.
    direction: see `temporal_shift`.
    streaming: `x` is one frame of every row and `temporal_shift_step` finds the
      previous one in the collection 'cache'.
  """

  num_frames: int
  fold_div: int = 8
  direction: str = 'both'
  streaming: bool = False

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C]
    if self.streaming:
      shape = (*x.shape[:-1], fold_channels(x.shape[-1], self.fold_div))
      cache = self.variable('cache', 'past', jnp.zeros, shape, x.dtype)
      y, cache.value = temporal_shift_step(x, cache.value, self.fold_div)
      return y
    clips = x.reshape((-1, self.num_frames, *x.shape[1:]))
    return temporal_shift(clips, self.fold_div, self.direction).reshape(x.shape)
