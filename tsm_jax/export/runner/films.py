"""Frames of a video file by OpenCV, and those of them that make a clip.

This file travels with an export, see `engine`.
"""

import fractions
import os

import cv2

from tsm_jax import errors
from tsm_jax.data import intervals, sampling
from tsm_jax.data.clips import frame_rate
from tsm_jax.export.runner import resizing
from tsm_jax.stream.frames import timed

# Of FFmpeg; read when OpenCV opens a file. Errors are said once, by us.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
_MAX_DENOMINATOR = 100_000  # of times as fractions: containers count in less
_LATE = 1.0  # seconds by which frames may end before a file states it
_LONGEST = 1e7  # seconds; what states more states nothing


class Film:
  """The frames of a file, one after the other.

  Attributes:
    rate: frames per second that it states, or 0.
  """

  def __init__(self, path, log):
    """Opens it.

    Args:
      path: of the file.
      log: called with a line if its frames end long before it states.

    Raises:
      InputError: if it is no file, or none that FFmpeg can read.
    """
    if not os.path.isfile(path):
      raise errors.InputError(f'{path!r} is no file.')
    self._path, self._log = path, log
    self._capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    if not self._capture.isOpened():
      raise errors.InputError(f'{path!r} is not a readable video.')
    self.rate = max(float(self._capture.get(cv2.CAP_PROP_FPS)), 0.0)
    self._frames = self._read()

  def __iter__(self):
    return self

  def __next__(self):
    return next(self._frames)

  def close(self):
    """Closes it before its end."""
    self._capture.release()

  def _read(self):
    time = first = count = 0
    while self._capture.grab():
      stated = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
      if not count:
        first = stated
      elif not stated:  # AVI does not state times
        stated = first + count / self.rate if self.rate else 0.0
      time, count = max(time, stated), count + 1
      yield timed.Frame(time, self._image)
    if not count:
      raise errors.InputError(f'{self._path!r}: no frame decodes.')
    self._compare(time)

  def _compare(self, end):
    """Says so if the frames of the file end long before it states."""
    frames = float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
    length = frames / self.rate if self.rate else 0.0
    if end + _LATE < length < _LONGEST:
      self._log(
        f'{errors.printable(self._path)}: its frames end at {end:.1f} s, where '
        f'it states {length:.1f} s'
      )

  def _image(self):
    """The frame that is current; only those that are needed are converted."""
    return cv2.cvtColor(self._capture.retrieve()[1], cv2.COLOR_BGR2RGB)


class Recorder:
  """Keeps all frames of a video as a dataset does, and chooses those of a clip.

  They are shrunk, compressed and, where the training's were, resampled. Only
  H.264, which a dataset may hold instead of JPEG, is not there.
  """

  def __init__(self, preprocessing):
    """Keeps nothing yet.

    Args:
      preprocessing: that of card.json.
    """
    self._how = preprocessing
    self._kept, self._times = [], []

  def add(self, frame):
    """Adds a `timed.Frame`."""
    image = resizing.shrink(frame.image, self._how['short_side'])
    quality = self._how['quality']
    _, data = cv2.imencode(
      '.jpg',
      image[..., ::-1],
      (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    )
    self._kept.append(image if self._how['storage'] == 'video' else data)
    self._times.append(frame.time)

  def clip(self, rate):
    """The frames of the clip that evaluation sees, a list of uint8 `[H, W, 3]`.

    Args:
      rate: frames per second of the video, or 0.

    Raises:
      InputError: if the frames are to be some seconds apart, and `rate` is 0.
    """
    kept = self._kept
    if self._how['fps']:
      kept, rate = self._resampled(rate), self._how['fps']
    chosen = choose(len(kept), rate, self._how)
    return [self._decoded(kept[index]) for index in chosen]

  def _resampled(self, rate):
    ends = [*self._times[1:], self._times[-1] + (1 / rate if rate else 0)]
    starts, ends = (
      [fractions.Fraction(t).limit_denominator(_MAX_DENOMINATOR) for t in times]
      for times in (self._times, ends)
    )
    shown = zip(self._kept, starts, ends)
    found = frame_rate.resample(shown, self._how['fps'])
    return [kept for kept, *_, count in found for _ in range(count)]

  def _decoded(self, kept):
    if self._how['storage'] == 'video':
      return kept
    return cv2.imdecode(kept, cv2.IMREAD_COLOR_RGB)


def choose(num_frames, rate, preprocessing):
  """The indices of the frames of the clip that evaluation sees, int `[T]`.

  Args:
    num_frames: of the video.
    rate: its frames per second, or 0.
    preprocessing: that of card.json.

  Raises:
    InputError: if frames are to be some seconds apart, and `rate` is 0.
  """
  count, apart = preprocessing['num_frames'], preprocessing['frame_interval']
  if apart:
    if not rate > 0:
      raise errors.InputError(
        'The video states no frame rate, without which no frames are '
        f'{apart:g} seconds apart.'
      )
    return intervals.timed_indices(num_frames, rate, count, apart)[0]
  if preprocessing['sampling'] == 'dense':
    return sampling.dense_indices(num_frames, count, 1)[0]
  return sampling.uniform_indices(num_frames, count)[0]
