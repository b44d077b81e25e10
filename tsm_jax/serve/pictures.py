"""The messages of a viewer that are pictures: a time and a JPEG.

Only JPEG, and only as cameras and browsers write it: of many scans
(progressive), a small file takes minutes to decode.
"""

import io
import math
import struct

import numpy as np
from PIL import JpegImagePlugin

from tsm_jax.serve import limits

_TIME = struct.Struct('<d')


def split(message):
  """The parts of a message, after its picture's header is found good.

  Args:
    message: bytes: float64 seconds, little endian, and a JPEG.

  Returns:
    `(time, jpeg)`.

  Raises:
    Closing: if it is no such message, or a picture that is not decoded here.
  """
  if len(message) > limits.MAX_MESSAGE:
    raise limits.Closing(
      limits.TOO_LARGE,
      f'A picture may have {limits.MAX_MESSAGE} bytes; this one has '
      f'{len(message)}.',
    )
  if len(message) <= _TIME.size:
    raise limits.Closing(
      limits.MALFORMED, 'A picture is 8 bytes of its time, and a JPEG.'
    )
  (time,) = _TIME.unpack_from(message)
  if not (math.isfinite(time) and abs(time) < limits.MAX_TIME):
    raise limits.Closing(
      limits.MALFORMED, f'The time of a picture is {time}; it is in seconds.'
    )
  jpeg = message[_TIME.size :]
  _open(jpeg)
  return time, jpeg


def decode(jpeg):
  """The picture of JPEG bytes, uint8 `[H, W, 3]`, RGB.

  Raises:
    Closing: if they are damaged.
  """
  image = _open(jpeg)
  try:
    return np.asarray(image.convert('RGB'))
  except Exception as error:  # Pillow raises many kinds
    raise limits.Closing(
      limits.MALFORMED, 'The picture is damaged, or only a part of one.'
    ) from error


def _open(jpeg):
  """An image of which only the header has been read."""
  try:
    # Image.open would look for more pictures in it, and warns of large ones.
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg))
  except Exception as error:  # Pillow raises many kinds
    raise limits.Closing(limits.MALFORMED, 'The picture is no JPEG.') from error
  long, short = max(image.size), min(image.size)
  if (
    long > limits.MAX_SIDE
    or short < limits.MIN_SIDE
    or long > limits.MAX_RATIO * short
  ):
    raise limits.Closing(
      limits.TOO_LARGE,
      f'The picture has {image.width}x{image.height} pixels; a side has '
      f'{limits.MIN_SIDE} to {limits.MAX_SIDE}, at most {limits.MAX_RATIO} '
      'times the other.',
    )
  if image.info.get('progressive'):
    raise limits.Closing(
      limits.MALFORMED,
      'The picture is a progressive JPEG; send a baseline one.',
    )
  return image
