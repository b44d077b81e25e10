"""The frames of a video file, one at a time."""

import os

from tsm_jax.data.clips import opening
from tsm_jax.stream.frames import source


def read(path):
  """The frames of a video file of any length, in constant memory.

  They decode as in a dataset (`videos.read`), but nothing is resampled, and a
  picture is converted when its `image` is asked for.

  Args:
    path: of a file.

  Returns:
    A `source.Source`: iterates over `Frame(time, image)`, times in seconds
    from the beginning that the file states.

  Raises:
    InputError: if the file is not a readable video, and on iteration if not a
      single frame decodes or its disk fails.
  """

  def measure():
    with open(path, 'rb') as file:
      return os.path.getsize(path), file.read(source.START)

  opened = opening.container(path)
  return source.Source(os.fspath(path), opened, path, measure)
