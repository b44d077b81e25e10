"""Frames in the size of an exported model, with NumPy alone.

The pixels are those of Pillow's bilinear resize, which a training sees, bit by
bit: it averages when it shrinks, as OpenCV's does not.
"""

import functools

import numpy as np

from tsm_jax.data.clips import sizes

_BITS = 22  # of the fraction of a weight; 8 hold the value, 2 stay free


def square(frame, short_side, stored_size, image_size):
  """The part of a frame that an exported model takes.

  Args:
    frame: uint8 `[H, W, 3]`.
    short_side: pixels to which a larger frame is shrunk first, as a dataset
      stores it.
    stored_size: F, to which the short side is scaled then.
    image_size: S, of the centre that the model cuts out of the result, which is
      the centre of the whole frame.

  Returns:
    uint8 `[F, F, 3]`.
  """
  frame = shrink(frame, short_side)
  height, width = frame.shape[:2]
  width, height = sizes.with_short_side(width, height, stored_size)
  scaled = resize(frame, width, height)
  inside = round((stored_size - image_size) / 2)
  x, y = (round((n - image_size) / 2) - inside for n in (width, height))
  return scaled[y : y + stored_size, x : x + stored_size]


def shrink(frame, short_side):
  """A uint8 frame `[H, W, 3]` shrunk to a short side, never enlarged."""
  height, width = frame.shape[:2]
  if min(height, width) <= short_side:
    return frame
  return resize(frame, *sizes.with_short_side(width, height, short_side))


def resize(frame, width, height):
  """A uint8 frame `[H, W, 3]` in another size.

  Its rows change first, unless that is more work: by the rule of Pillow 13,
  as what is between the two is rounded.
  """
  old_height, old_width = frame.shape[:2]
  shorter = old_height - height
  sizes = [(1, width), (0, height)]
  if shorter > max(0, 2 * (old_width - width)):
    sizes.reverse()
  for axis, size in sizes:
    if frame.shape[axis] != size:
      frame = _along(frame, size, axis)
  return frame


def _along(frame, size, axis):
  """The frame with `size` pixels along an axis: weighted means of its own."""
  count = frame.shape[axis]
  first, weights = _weights(count, size)
  lines = np.ascontiguousarray(np.moveaxis(frame, axis, 0))
  other, channels = lines.shape[1:]
  lines = lines.reshape((count, -1))
  total = np.full((size, lines.shape[1]), 1 << (_BITS - 1), np.int32)
  for place, weight in enumerate(weights):
    total += lines[np.minimum(first + place, count - 1)] * weight[:, None]
  found = np.clip(total >> _BITS, 0, 255).astype(np.uint8)
  return np.moveaxis(found.reshape((size, other, channels)), 0, axis)


@functools.lru_cache(maxsize=16)
def _weights(old, new):
  """What of `old` pixels in a line makes each of `new` ones.

  A pixel counts by its distance from the middle of the new one: a triangle,
  which is as wide as two new pixels, at least two old ones.

  Returns:
    `(first, weights)`: int `[new]`, and int32 `[P, new]`, in units of
    `2 ** -_BITS`, of the pixels from the first on.
  """
  scale = old / new
  reach = max(scale, 1.0)
  middle = (np.arange(new) + 0.5) * scale
  first = np.maximum((middle - reach + 0.5).astype(int), 0)
  end = np.minimum((middle + reach + 0.5).astype(int), old)
  places = first[:, None] + np.arange((end - first).max())
  distance = np.abs((places - middle[:, None] + 0.5) * (1 / reach))
  share = np.where(places < end[:, None], np.maximum(1 - distance, 0), 0)
  share /= share.sum(axis=1, keepdims=True)
  return first, np.int32(0.5 + share * (1 << _BITS)).T
