"""How long a clip and how large a picture may be.

A clip or picture beyond them is refused before it fills the memory.
"""

MAX_SIDE = 8192
MAX_PIXELS = MAX_SIDE * MAX_SIDE  # of a picture; as RGB they are 200 MB


def too_long(count, most):
  """Why a clip of `count` frames or more cannot be used with `most`, or ''."""
  if count <= most:
    return ''
  return f'is longer than max_frames, {most}: {count} frames are counted so far'


def too_large(width, height):
  """Why pictures of that size are not decoded, or ''."""
  if width * height <= MAX_PIXELS:
    return ''
  return (
    f'has pictures of {width}x{height} pixels, which is more than '
    f'{MAX_SIDE}x{MAX_SIDE} in all'
  )
