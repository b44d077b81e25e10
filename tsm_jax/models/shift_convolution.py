"""The temporal shift and the convolution behind it, as one for a TPU.

What its compiler makes a part of a convolution, it neither writes nor reads:
see docs/performance.md.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tsm_jax.models import shift_forms

# Frames in a tile of a TPU's memory, where there are enough channels that they
# are the other side of it.
TILE, WIDE = 8, 64


class Move(NamedTuple):
  """A shift of frames that are folded into the batch; see `shifted`."""

  num_frames: int
  fold: int
  steps: tuple[int, ...]

  def back(self):
    """The shift of the gradient."""
    return self._replace(steps=tuple(-step for step in self.steps))


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
  # A 1x1 gets a row of zeros below each frame, and leaves it out. Without it,
  # the compiler does not make the shift and a 1x1 a part of a strided 3x3.
  row = int(kernel.shape[:2] == (1, 1) and move.fold > 0)
  shift = functools.partial(_of_frames, move=move, axis=0, more={2: (0, row)})
  (top, bottom), sides = padding
  y = _on_each_device(shift, x, move)
  return _conv(y, kernel, strides, ((top, bottom - row), sides))


def _forward(x, kernel, move, strides, padding):
  # Without the barrier the compiler would compute `x` once more for the shift,
  # from all that it is the sum of, instead of reading it.
  x = jax.lax.optimization_barrier(x)
  return _conv(_in_memory(x, move), kernel, strides, padding), (x, kernel)


def _backward(move, strides, padding, kept, gradient):
  # Without the barrier the compiler would find the same shift in the forward
  # pass and keep what it gave.
  x, kernel = jax.lax.optimization_barrier(kept[0]), kept[1]
  height, width, channels, features = kernel.shape
  narrows = channels > features and (height, width, *strides) == (1, 1, 1, 1)
  if narrows:
    # Smaller than `x`, and several views read it, so that it is stored. Without
    # the barrier, so is what it is computed from. Others are a part of the two
    # convolutions that read them.
    gradient = jax.lax.optimization_barrier(gradient)
  y = _in_memory(x, move)
  _, vjp = jax.vjp(lambda *args: _conv(*args, strides, padding), y, kernel)
  of_shifted, of_kernel = vjp(gradient)
  back = move.back()
  if narrows and move.fold:
    return _of_input(gradient, kernel, back), of_kernel
  return _in_memory(of_shifted, back), of_kernel


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

  def beside(gradient):
    tiles = _tiles(jnp.moveaxis(gradient, 0, 2), back.num_frames, 2)
    views = 0
    for i, step in enumerate(steps):
      # A sum of padded views, as the compiler would write a concatenation.
      ends = i * size, (len(steps) - 1 - i) * size
      views += _neighbours(tiles, back.num_frames, step, 2, {4: ends})
    return jnp.moveaxis(_folded(views, 2), 2, 0)

  kernels = jnp.concatenate(kernels, axis=2).astype(kernel.dtype)
  return _conv(_on_each_device(beside, gradient, back), kernels)


convolved.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def shifted(x, move):
  """The shift alone, for what is no convolution or for several readers.

  Args:
    x: `[B * T, H, W, C]`.
    move: a `Move`.

  Returns:
    `[B * T, H, W, C]`.
  """
  shift = functools.partial(_of_frames, move=move, axis=0)
  return _on_each_device(shift, x, move)


def _shift_forward(x, move):
  return _in_memory(x, move), None


def _shift_backward(move, _, gradient):
  # Of what is stored, the shift is a part of the sum behind it. Otherwise the
  # compiler would compute the gradient once for each view.
  gradient = jax.lax.optimization_barrier(gradient)
  return (_in_memory(gradient, move.back()),)


shifted.defvjp(_shift_forward, _shift_backward)


def _in_memory(x, move):
  """The shift of frames `[B * T, H, W, C]`, written as `[H, W, B * T, C]`.

  In this order a TPU's memory holds what its convolutions read and write. It
  copies the features where they are shifted in another one.
  """

  def shift(x):
    y = _of_frames(jnp.moveaxis(x, 0, 2), move, axis=2)
    return jnp.moveaxis(y, 2, 0)

  return _on_each_device(shift, x, move)


def _of_frames(x, move, axis, more=None):
  """The shift of frames folded into `axis`; `more` as of `_neighbours`."""
  if not move.fold:
    return x
  tiles = _tiles(x, move.num_frames, axis)
  views = {
    step: _neighbours(tiles, move.num_frames, step, axis, more)
    for step in (0, *move.steps)
  }
  return _folded(
    shift_forms.selected(views[0], views, move.fold, move.steps), axis
  )


def _tiles(x, num_frames, axis):
  """Splits the axis of all frames in two: `[..., B * T / n, n, ...]`.

  Clips of as many frames as a tile are split from each other. What is smaller
  or larger would be copied from one tile to the next.
  """
  size = TILE if _is_tile(x, num_frames) else 1
  return x.reshape((*x.shape[:axis], -1, size, *x.shape[axis + 1 :]))


def _is_tile(x, num_frames):
  return num_frames == TILE and x.shape[-1] >= WIDE


def _folded(tiles, axis):
  shape = tiles.shape
  return tiles.reshape((*shape[:axis], -1, *shape[axis + 2 :]))


def _neighbours(tiles, num_frames, step, axis, more=None):
  """The next frames (`step=1`), these (0) or the previous ones (-1).

  Args:
    tiles: of `_tiles`.
    num_frames: T.
    step: see above.
    axis: of the tiles.
    more: see `shift_forms.padded`.
  """
  if not step or tiles.shape[axis + 1] == num_frames:
    return shift_forms.padded(tiles, step, axis + 1, more)
  frame = jnp.arange(tiles.shape[axis]) % num_frames
  empty = frame == (num_frames - 1 if step == 1 else 0)
  empty = empty.reshape((-1, *(1,) * (tiles.ndim - axis - 1)))
  moved = shift_forms.padded(tiles, step, axis, more)
  return jnp.where(empty, 0, moved).astype(tiles.dtype)


def _on_each_device(shift, x, move):
  """Shifts the clips `[B * T, H, W, C]` of each device of the mesh of `x`.

  Frames that are one axis for all clips would be sent between devices to be
  masked there. Clips of one tile are split from each other: nothing is sent.
  """
  mesh = jax.typeof(x).sharding.mesh
  clips = x.shape[0] // move.num_frames
  if _is_tile(x, move.num_frames) or mesh.size < 2 or clips % mesh.size:
    return shift(x)
  if set(mesh.axis_types) != {jax.sharding.AxisType.Auto}:
    return shift(x)  # for example, these are the frames of one device already
  spec = jax.sharding.PartitionSpec(mesh.axis_names)
  return jax.shard_map(shift, mesh=mesh, in_specs=spec, out_specs=spec)(x)


def _conv(x, kernel, strides=(1, 1), padding=((0, 0), (0, 0))):
  # Never a matrix product: a TPU's compiler makes the shift a part of a
  # convolution only.
  return jax.lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
