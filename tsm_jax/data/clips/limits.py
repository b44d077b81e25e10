"""How long a clip, how large a picture and how big a file may be.

What is beyond them is refused before it fills the memory or takes hours.
"""

import stat

from tsm_jax.data import defaults

MAX_SIDE = 8192
MAX_PIXELS = MAX_SIDE * MAX_SIDE  # of a picture; as RGB they are 200 MB
MAX_RATIO = 1000  # of its sides: enlarged to 256 pixels it is as large
MAX_IMAGE_BYTES = 2**29  # of the file of a picture
MAX_RECORD_BYTES = 2_000_000_000  # of a stored clip; protocol buffers end there
# Of a clip, the pictures that are decoded in all, also those that are skipped:
# as many of this size as the usual max_frames.
CLIP_WIDTH, CLIP_HEIGHT = 3840, 2160
MAX_SECONDS = 3600.0  # for a clip
MAX_FILM_SECONDS = 12 * 3600.0  # for all parts of a long video together


def too_long(count, most):
  """Why a clip of `count` frames or more cannot be used with `most`, or ''."""
  if count <= most:
    return ''
  return f'is longer than max_frames, {most}: {count} frames are counted so far'


def too_large(width, height):
  """Why pictures of that size are not decoded, or ''."""
  if width * height > MAX_PIXELS:
    return (
      f'has pictures of {width}x{height} pixels, which is more than '
      f'{MAX_SIDE}x{MAX_SIDE} in all'
    )
  if max(width, height) > MAX_RATIO * min(width, height) > 0:
    return (
      f'has pictures of {width}x{height} pixels, with one side more than '
      f'{MAX_RATIO} times the other'
    )
  return ''


def too_much(num_pixels, max_frames):
  """Why a clip of so many pixels, of all frames, is not decoded, or ''."""
  most = max(max_frames, defaults.USUAL.max_frames)
  if num_pixels <= most * CLIP_WIDTH * CLIP_HEIGHT:
    return ''
  return (
    f'has more pixels, in all its frames, than {most} frames of '
    f'{CLIP_WIDTH}x{CLIP_HEIGHT}'
  )


def too_slow(seconds, film=False):
  """Why a clip or film is given up that took so long to decode, or ''."""
  most = MAX_FILM_SECONDS if film else MAX_SECONDS
  return f'takes more than {most:g} s to decode' if seconds > most else ''


def too_heavy(num_bytes):
  """Why a stored clip of so many bytes cannot be a record, or ''."""
  if num_bytes <= MAX_RECORD_BYTES:
    return ''
  return (
    f'takes more than {MAX_RECORD_BYTES / 1e9:g} GB stored; a smaller '
    "short_side or max_frames, or the storage 'video', takes less"
  )


def irregular(found, most=None):
  """Why a file is not read, or ''.

  Args:
    found: what `os.stat` says of it.
    most: bytes that it may have.
  """
  if not stat.S_ISREG(found.st_mode):
    return 'is not a regular file (but a pipe, a device or the like)'
  if most is not None and found.st_size > most:
    return f'has {found.st_size} bytes, which is more than {most}'
  return ''
