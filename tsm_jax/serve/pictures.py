"""The messages of a viewer that are pictures: a time and a JPEG.

Only JPEG, and only as cameras and browsers write it. Of many scans, a small
file takes minutes to decode; of Exif that points to itself, gigabytes.
"""

import io
import math
import struct

import numpy as np
from PIL import JpegImagePlugin

from tsm_jax.serve import limits

_TIME = struct.Struct('<d')
_NO_JPEG = 'The picture is no JPEG.'
# Markers of segments that say nothing of pixels: comments, and those of
# applications but JFIF (0xE0) and Adobe (0xEE), which say what colours are.
_LEFT_OUT = {0xFE, *range(0xE1, 0xF0)} - {0xEE}


def split(message):
  """The parts of a message, after its picture's header is found good.

  Args:
    message: bytes: float64 seconds, little endian, and a JPEG.

  Returns:
    `(time, jpeg)`, the JPEG without Exif and the like.

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
  jpeg = _bare(message[_TIME.size :])
  _open(jpeg)
  return time, jpeg


def _bare(jpeg):
  """A JPEG of nothing but its pixels, in a few scans."""
  kept, at = [jpeg[:2]], 2
  for _ in range(limits.MAX_SEGMENTS):
    start, marker, *length = jpeg[at : at + 4].ljust(4, b'\0')
    if start != 0xFF or (end := at + 2 + int.from_bytes(length)) < at + 4:
      break
    if marker == 0xDA:  # the first scan
      return _checked(b''.join(kept), jpeg[at:])
    if marker not in _LEFT_OUT:
      kept.append(jpeg[at:end])
    at = end
  raise limits.Closing(limits.MALFORMED, _NO_JPEG)


def _checked(header, scans):
  if len(header) > limits.MAX_HEADER:
    raise limits.Closing(
      limits.MALFORMED,
      f"The picture's tables have {len(header)} bytes; a JPEG needs "
      f'{limits.MAX_HEADER} at most.',
    )
  if (count := scans.count(b'\xff\xda')) > limits.MAX_SCANS:
    raise limits.Closing(
      limits.MALFORMED,
      f'The picture has {count} scans; a baseline JPEG has '
      f'{limits.MAX_SCANS} at most.',
    )
  return header + scans


def decode(jpeg):
  """The picture of JPEG bytes from `split`, uint8 `[H, W, 3]`, RGB.

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
    raise limits.Closing(limits.MALFORMED, _NO_JPEG) from error
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
