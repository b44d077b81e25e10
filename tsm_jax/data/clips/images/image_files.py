"""One image file: regular, of bounded size and of a format that is documented.

Its name says nothing. Pillow knows formats that are programs (EPS starts one).
"""

import io
import os
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from tsm_jax.data.clips import limits, opening, sizes

FORMATS = ('JPEG', 'PNG', 'BMP', 'WEBP')


class Reader:
  """Reads the images of one clip, as long as they are not too many pixels."""

  def __init__(self, short_side, max_frames):
    self._short_side = short_side  # smaller images stay as they are
    self._max_frames = max_frames
    self._pixels = 0

  def read(self, path, size):
    """An image.

    Returns:
      `(data, image, size)`: its bytes if they can be stored as they are, else
      b''; the upright image; the size that it is stored with.
    """
    data = _bytes(path)
    with _open(data) as opened:
      width, height = size or (0, 0)
      self._pixels += max(opened.width * opened.height, width * height)
      if reason := limits.too_much(self._pixels, self._max_frames):
        raise opening.VideoError(reason)
      opened.load()  # all of it: a header alone can be whole in a cut file
      opened = _eight_bits(opened)
      turned = opened.getexif().get(ExifTags.Base.Orientation, 1) != 1
      image = ImageOps.exif_transpose(opened) if turned else opened
      if size is None:
        size = image.size
        if min(size) > self._short_side:
          size = sizes.with_short_side(*size, self._short_side)
      as_is = opened.format == 'JPEG' and opened.mode in ('RGB', 'L')
      kept = as_is and not turned and image.size == size
    return data if kept else b'', image, size


def _bytes(path):
  """The content of a file; ValueError if it is not a regular one of some size.

  It is a `PassingError` if the file is gone, which was there a moment ago.
  """
  try:
    if reason := limits.irregular(os.stat(path), limits.MAX_IMAGE_BYTES):
      raise ValueError(reason)
    return path.read_bytes()
  except OSError as error:
    reason = opening.unreadable(error)
    passing = isinstance(reason, opening.PassingError)
    if passing and not os.path.islink(path):  # to nowhere, it stays so
      raise reason from error
    raise ValueError(str(reason)) from error


def _open(data):
  """An image that is not decoded yet; ValueError if it is too large."""
  with warnings.catch_warnings():  # Pillow warns below its own limit
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    try:
      image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
      raise ValueError(f'it is none of {", ".join(FORMATS)}') from None
  if reason := limits.too_large(*image.size):
    raise ValueError(reason)
  return image


def _eight_bits(image):
  """A grey image of 16 bits with the upper 8; Pillow's convert would clip."""
  # 'I' is what older releases of Pillow make of a PNG of 16 bits.
  if image.mode.startswith('I'):
    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
  return image
