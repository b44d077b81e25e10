"""The temporal shift as a layer, or as a part of the convolution behind it."""

from flax import linen as nn
import jax.numpy as jnp

from tsm_jax.models import shift, shift_convolution, shift_forms


class TemporalShift(nn.Module):
  """The temporal shift of clips whose frames are folded into the batch.

  Attributes:
    num_frames: T of the clips.
    fold_div: see `shift.temporal_shift`.
    direction: see `shift.temporal_shift`.
    streaming: the clips go on where the last ones ended: the collection 'cache'
      keeps the channels of the previous frame.
    form: see `shift_forms.FORMS`, without 'auto'.
    beside: how many channels it moves, if what reads them takes all of its
      input beside them, see `convolution.Conv`; otherwise 0.
  """

  num_frames: int
  fold_div: int = 8
  direction: str = 'both'
  streaming: bool = False
  form: str = shift_forms.DEFAULT
  beside: int = 0

  @property
  def fuses(self):
    """Whether a convolution behind it takes the shift over."""
    return self.form == 'fused' and not self.streaming

  @nn.compact
  def __call__(self, x):  # [B * T, H, W, C]
    if self.fuses:
      return shift_convolution.shifted(x, self.move(x))
    clips = x.reshape((-1, self.num_frames, *x.shape[1:]))
    if self.streaming:
      channels = shift.fold_channels(x.shape[-1], self.fold_div)
      shape = (clips.shape[0], *x.shape[1:-1], channels)
      cache = self.variable('cache', 'past', jnp.zeros, shape, x.dtype)
      if self.num_frames == 1:
        y, cache.value = shift.temporal_shift_step(
          x, cache.value, self.fold_div
        )
        return y
      y, cache.value = shift.temporal_shift_chunk(
        clips, cache.value, self.fold_div
      )
      return y.reshape(x.shape)
    y = shift.temporal_shift(clips, self.fold_div, self.direction, self.form)
    return y.reshape(x.shape)

  def move(self, x):
    """What moves of frames `[B * T, H, W, C]`."""
    fold = shift.fold_channels(x.shape[-1], self.fold_div)
    return shift_convolution.Move(
      self.num_frames, fold, shift.STEPS[self.direction]
    )


def into_convolution(make_shift, x):
  """Shifts the input of a convolution, or leaves that to the convolution.

  Args:
    make_shift: constructor of a `TemporalShift`, or None.
    x: `[B * T, H, W, C]`.

  Returns:
    `(y, fields)`: the input of the convolution and more fields for it.
  """
  if not make_shift:
    return x, {}
  module = make_shift(name='shift')
  if not module.fuses:
    return module(x), {}

  def shift_and_convolve(x, kernel, strides, padding, **_):
    places = tuple(strides), tuple(map(tuple, padding))
    return shift_convolution.convolved(x, kernel, module.move(x), *places)

  return x, {'conv_general_dilated': shift_and_convolve}
