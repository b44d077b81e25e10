"""How a video's pictures are turned and mirrored when they are shown."""

import math
from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
  """What is done to a stored picture: first it is mirrored, then rotated.

  Attributes:
    mirrored: whether left and right change places.
    rotation: degrees counter-clockwise.
  """

  mirrored: bool = False
  rotation: float = 0.0

  def apply(self, image):
    """The picture `[H, W, 3]` as it is shown, to the nearest quarter turn."""
    if self.mirrored:
      image = np.fliplr(image)
    turns = round(self.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns))


def read(frame):
  """The `Orientation` that a decoded `av.VideoFrame` states.

  Its display matrix moves the stored point (x, y) to (a x + c y, b x + d y),
  where y points down.
  """
  try:
    matrix = frame.side_data.get('DISPLAYMATRIX')
  except ValueError:  # beside data that PyAV does not know, such as EXIF
    return Orientation(False, frame.rotation)
  if matrix is None:
    return Orientation()
  a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
  determinant = a * d - b * c
  if determinant == 0:  # it makes a line of the picture
    return Orientation()
  if determinant > 0:
    return Orientation(False, frame.rotation)
  # A rotation is left when x is mirrored first. As FFmpeg, each axis is scaled
  # on its own.
  angle = math.atan2(-b / math.hypot(b, d), -a / math.hypot(a, c))
  return Orientation(True, -math.degrees(angle) or 0.0)
