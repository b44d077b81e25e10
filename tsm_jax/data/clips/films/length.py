"""How long a video is, as its file states it, without decoding it."""

import math
import os
from typing import NamedTuple

import av

from tsm_jax.data.clips import containers, images, opening


class Length(NamedTuple):
  """What a file states; 0 where it states nothing.

  Attributes:
    seconds: from the beginning to the end.
    num_frames: of the video; of a folder, from the first to the last image.
    fps: frames per second.
  """

  seconds: float
  num_frames: int
  fps: float

  def require(self, name):
    """An attribute that is not 0; VideoError if it is."""
    if value := getattr(self, name):
      return value
    what = {'seconds': 'how long it is', 'fps': 'a frame rate'}.get(name, name)
    raise opening.VideoError(f'does not state {what}')


def read(path, modality='rgb'):
  """The `Length` of a video file, or of a folder of numbered images.

  Raises:
    VideoError: if it does not open.
  """
  if os.path.isdir(path):
    return Length(0.0, images.count(path, modality), 0.0)
  with opening.container(path) as container:
    stream = opening.video(container)
    fps = float(stream.average_rate or 0)
    claimed = containers.read(container, stream, 0, 0)
    seconds = claimed.duration
    if not seconds and container.duration:
      seconds = container.duration / av.time_base
    count = claimed.num_frames or math.floor(seconds * fps)
    return Length(seconds or (count / fps if fps else 0.0), count, fps)
