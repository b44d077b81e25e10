"""One picture: its size, and its JPEG."""

import cv2
import numpy as np
from PIL import Image

from tsm_jax.data.clips import sizes

MAX_SHRINK = 1.25  # of a side, by the fast resize

cv2.setNumThreads(1)  # the processes and threads around it are parallel


def shrink(image, short_side):
  """A uint8 frame as it is stored: shrunk to a short side, never enlarged."""
  height, width = image.shape[:2]
  if min(height, width) <= short_side:
    return image
  return resize(image, *sizes.with_short_side(width, height, short_side))


def resize(image, width, height):
  """Pillow's bilinear resize (antialiased when shrinking) of a uint8 frame.

  Args:
    image: `[H, W]`, `[H, W, 3]`, or `[H, W, 2]` of flow.
    width: pixels.
    height: pixels.
  """
  if image.shape[:2] == (height, width):
    return image
  if image.shape[2:] == (2,):  # Pillow would take y for the opacity of x
    x, y = (resize(image[..., i], width, height) for i in range(2))
    return np.stack([x, y], axis=-1)
  scaled = Image.fromarray(image).resize(
    (width, height), Image.Resampling.BILINEAR
  )
  return np.asarray(scaled)


def resize_fast(image, width, height):
  """As `resize`, by OpenCV, in a sixth of the time where it is used.

  Enlarged, a value differs by one level at most. Shrunk a little, it lacks the
  averaging of Pillow: by 0.3 levels in the mean of a natural image. Shrunk by
  more than `MAX_SHRINK` it is `resize`.
  """
  if max(image.shape[0] / height, image.shape[1] / width) > MAX_SHRINK:
    return resize(image, width, height)
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def encode_jpeg(image, quality):
  """JPEG bytes of a frame, 4:2:0, or of a grey one `[H, W]`.

  Raises:
    ValueError: if a side is too long for JPEG.
  """
  if image.ndim == 3:
    image = image[..., ::-1]
  done, data = cv2.imencode(
    '.jpg',
    image,
    # Its own Huffman tables make an image eight percent smaller.
    (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
  )
  if not done:
    height, width = image.shape[:2]
    raise ValueError(f'JPEG has no pictures of {width}x{height} pixels')
  return data.tobytes()


def decode_jpeg(data, gray=False):
  """The frame `[H, W, 3]` uint8 RGB of JPEG bytes; ValueError if they are not.

  With `gray`, it is `[H, W]`.
  """
  mode = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
  image = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
  if image is None:
    raise ValueError(f'{len(data)} bytes that are not a JPEG image')
  return image
