"""Ways to write the temporal shift. They differ in what a compiler makes of it.

All give the same values, and gradients that differ by the order of sums.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

FORMS = ('auto', 'select', 'pad', 'concatenate', 'roll', 'fused')
# The way of 'auto', by the platform and by what is compiled: on a TPU the one
# whose program moves least, on a CPU the fastest, see docs/performance.md.
TABLE = {
  ('cpu', 'inference'): 'concatenate',
  ('cpu', 'training'): 'concatenate',
  ('tpu', 'training'): 'fused',
  ('tpu', 'inference'): 'fused',
}
DEFAULT = 'select'


def choose(form, platform, use):
  """The way that is taken.

  Args:
    form: one of `FORMS`. 'auto' is what `TABLE` says, and so is 'fused' in
      inference: without a backward pass, a TPU alone gains by it.
    platform: 'cpu', 'gpu' or 'tpu', or None for any.
    use: 'inference' or 'training'.

  >>> choose('auto', 'tpu', 'training'), choose('auto', 'cpu', 'training')
  ('fused', 'concatenate')
  >>> choose('roll', 'tpu', 'training'), choose('fused', 'cpu', 'inference')
  ('roll', 'concatenate')
  """
  if form == 'auto' or (form == 'fused' and use == 'inference'):
    return TABLE.get((platform, use), DEFAULT)
  return form


def shifted(x, fold, steps, form):
  """Moves groups of channels between the frames of clips.

  Args:
    x: `[B, T, H, W, C]`.
    fold: channels of a group.
    steps: of each group, from the first channel on: 1 takes the next frame, -1
      the previous one. The channels behind the groups stay.
    form: one of `FORMS` but 'auto'; 'fused' without its product is 'pad'.

  Returns:
    `[B, T, H, W, C]`, same dtype.
  """
  if not fold:
    return x
  if form == 'concatenate':
    parts = [
      _joined(x[..., i * fold : (i + 1) * fold], step)
      for i, step in enumerate(steps)
    ]
    return jnp.concatenate([*parts, x[..., len(parts) * fold :]], axis=-1)
  view = {'select': _joined, 'roll': _rolled}.get(form, _padded)
  return _selected(x, {step: view(x, step) for step in steps}, fold, steps)


def _selected(x, views, fold, steps):
  """Of each group of channels its view, of the others `x`."""
  channel = jnp.arange(x.shape[-1])
  *others, last = steps
  moved = views[last]
  for i, step in reversed(list(enumerate(others))):
    moved = jnp.where(channel < (i + 1) * fold, views[step], moved)
  return jnp.where(channel < len(steps) * fold, moved, x)


def _joined(x, step):
  """The next frames (`step=1`) or the previous ones (-1); zeros at the end."""
  no_frame = jnp.zeros_like(x[:, :1])
  if x.shape[1] == 1:  # ONNX knows no empty parts
    return no_frame
  parts = [x[:, 1:], no_frame] if step == 1 else [no_frame, x[:, :-1]]
  return jnp.concatenate(parts, axis=1)


def _padded(x, step, axis=1, more=None):
  """`_joined` as one operation: a padding that is negative at one end.

  Args:
    x: clips.
    step: see `_joined`; 0 is the same frame.
    axis: of the frames.
    more: zeros that other axes get, `{axis: (before, after)}`.
  """
  config = [(0, 0, 0)] * x.ndim
  for at, ends in {**(more or {}), axis: (-step, step)}.items():
    config[at] = (*ends, 0)
  return jax.lax.pad(x, jnp.zeros((), x.dtype), config)


def _rolled(x, step):
  """`_joined` as a rotation whose first or last frame is cleared."""
  frame = jnp.arange(x.shape[1]).reshape((-1, *(1,) * (x.ndim - 2)))
  empty = frame == (x.shape[1] - 1 if step == 1 else 0)
  return jnp.where(empty, 0, jnp.roll(x, -step, axis=1)).astype(x.dtype)


class Move(NamedTuple):
  """A shift of frames that are folded into the batch; see `shifted`."""

  num_frames: int
  fold: int
  steps: tuple[int, ...]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolved(x, kernel, move, strides=(1, 1), padding=((0, 0), (0, 0))):
  """The shift and the convolution behind it, as one operation.

  The backward pass keeps `x`, which others keep as well, and shifts it again.

  Args:
    x: `[B * T, H, W, C]`.
    kernel: `[h, w, C, D]`.
    move: a `Move`.
    strides: of H and W; a tuple.
    padding: `(before, after)` of H and W; a tuple of tuples.

  Returns:
    `[B * T, H', W', D]`.
  """
  if not move.fold:
    return _conv(x, kernel, strides, padding)
  # A 1x1 gets a row of zeros below each frame, and leaves it out. Without it,
  # the compiler does not make the shift and a 1x1 a part of a strided 3x3.
  row = int(kernel.shape[:2] == (1, 1))
  clips = x.reshape((-1, move.num_frames, *x.shape[1:]))
  views = {i: _padded(clips, i, more={2: (0, row)}) for i in (0, *move.steps)}
  y = _selected(views[0], views, move.fold, move.steps)
  (top, bottom), sides = padding
  y = y.reshape((-1, *y.shape[2:]))
  return _conv(y, kernel, strides, ((top, bottom - row), sides))


def _forward(x, kernel, move, strides, padding):
  # Without the barrier the compiler would compute `x` once more for the shift,
  # from all that it is the sum of, instead of reading it.
  x = jax.lax.optimization_barrier(x)
  y = _conv(_of_frames(x, move), kernel, strides, padding)
  return y, (x, kernel)


def _backward(move, strides, padding, kept, gradient):
  # Without the barriers the compiler would find the same shift in the forward
  # pass and keep what it gave, and would compute the gradient once for each
  # product that reads it.
  x, gradient = jax.lax.optimization_barrier((kept[0], gradient))
  kernel = kept[1]
  y = _of_frames(x, move)
  _, vjp = jax.vjp(lambda *args: _conv(*args, strides, padding), y, kernel)
  of_shifted, of_kernel = vjp(gradient)
  back = move._replace(steps=tuple(-step for step in move.steps))
  height, width, channels, features = kernel.shape
  narrows = channels > features and (height, width, *strides) == (1, 1, 1, 1)
  if narrows and move.fold:
    return _of_input(gradient, kernel, back), of_kernel
  return _of_frames(of_shifted, back), of_kernel


def _of_input(gradient, kernel, back):
  """The gradient of `x` as one 1x1 convolution, whose output is not shifted.

  What adds it to that of the identity becomes a part of the convolution, so
  that the large gradient is written once. The small one is shifted: its views
  lie side by side, each with the rows of the kernel that it reaches.
  """
  steps, size = (*back.steps, 0), kernel.shape[3]
  group = jnp.arange(kernel.shape[2]) // back.fold
  group = jnp.minimum(group, len(back.steps))
  turned = jnp.swapaxes(kernel, 2, 3)  # [1, 1, D, C]
  kernels = [jnp.where(group == i, turned, 0) for i in range(len(steps))]
  clips = _in_memory(gradient, back.num_frames)
  views = 0
  for i, step in enumerate(steps):
    # A sum of padded views, as the compiler would write a concatenation.
    ends = i * size, (len(steps) - 1 - i) * size
    views += _padded(clips, step, 3, {4: ends})
  kernels = jnp.concatenate(kernels, axis=2).astype(kernel.dtype)
  return _conv(_of_memory(views), kernels)


convolved.defvjp(_forward, _backward)


def _of_frames(x, move):
  """The shift of `[B * T, H, W, C]`."""
  if not move.fold:
    return x
  clips = _in_memory(x, move.num_frames)
  views = {step: _padded(clips, step, axis=3) for step in move.steps}
  return _of_memory(_selected(clips, views, move.fold, move.steps))


def _in_memory(x, num_frames):
  """Frames `[B * T, H, W, C]` as clips `[H, W, B, T, C]`.

  In this order a TPU's memory holds what its convolutions read and write. It
  copies the features where they are shifted in another one.
  """
  y = jnp.moveaxis(x, 0, 2)
  return y.reshape((*y.shape[:2], -1, num_frames, y.shape[-1]))


def _of_memory(clips):
  """Clips `[H, W, B, T, C]` as frames `[B * T, H, W, C]`."""
  y = clips.reshape((*clips.shape[:2], -1, clips.shape[-1]))
  return jnp.moveaxis(y, 2, 0)


def _conv(x, kernel, strides=(1, 1), padding=((0, 0), (0, 0))):
  # Never a matrix product: a TPU's compiler makes the shift a part of a
  # convolution only.
  return jax.lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
