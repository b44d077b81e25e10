"""The frames of a camera of this machine, by its index."""

import contextlib
import functools
import glob
import time

import cv2

from tsm_jax import errors
from tsm_jax.stream.frames import cameras, timed


def read(index, stopped, log):
  """The frames of a camera, a `cameras.Camera`.

  Args:
    index: 0 for the first one, as OpenCV counts.
    stopped: whether to end now.
    log: called with a sentence when the camera goes away and when it is back.

  Raises:
    InputError: if there is no such camera, or it is in use.
  """
  connect = functools.partial(_Device, index)
  return cameras.Camera(f'camera {index}', connect, stopped, log)


class _Device:
  """What a camera gives until it is unplugged."""

  ending = 'gives no more pictures'

  def __init__(self, index):
    with _quiet():
      self._capture = cv2.VideoCapture(index)
    if not self._capture.isOpened():
      there = ', '.join(sorted(glob.glob('/dev/video*'))) or 'none'
      raise errors.InputError(
        f'Camera {index} cannot be opened: it is not there, or in use; of '
        f'/dev/video* there is {there}.'
      )
    self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # not an old picture
    self.rate = max(float(self._capture.get(cv2.CAP_PROP_FPS)), 0.0)
    self.notes = []

  def __iter__(self):
    begun = None
    while True:
      read, image = self._capture.read()
      if not read:
        return
      now = time.monotonic()
      begun = now if begun is None else begun
      convert = functools.partial(cv2.cvtColor, image, cv2.COLOR_BGR2RGB)
      yield timed.Frame(now - begun, convert)

  def close(self):
    self._capture.release()


@contextlib.contextmanager
def _quiet():
  """OpenCV says nothing of a camera that is not there."""
  logging = cv2.utils.logging
  level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
  try:
    yield
  finally:
    logging.setLogLevel(level)
