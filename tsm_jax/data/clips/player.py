"""The frames of an open video, one after the other, past what is broken."""

import fractions
from typing import NamedTuple

import av
from av.video import reformatter

from tsm_jax.data.clips import frame_rate, opening, orientation

MAX_FAILURES = 1000  # broken packets, after which the rest is given up


class Shown(NamedTuple):
  """A frame that is decoded, and when it is shown.

  Attributes:
    frame: `av.VideoFrame`.
    start: seconds from which it is shown, as the file counts them.
    end: seconds at which it is replaced, by its own duration.
    stated: whether the file states times; else they follow from its rate.
    slot: when the video is resampled, the number of the first frame of the
      result that shows it, counted from the beginning of the file.
    count: how often it is seen; 1 where the video is not resampled.
  """

  frame: av.VideoFrame
  start: fractions.Fraction
  end: fractions.Fraction
  stated: bool
  slot: int
  count: int


class Failure(NamedTuple):
  """A packet that does not decode: why, and its time in seconds or None."""

  reason: str
  time: float | None


class Player:
  """Decodes the default video stream of an open container, once.

  It keeps nothing of the frames that it has shown, so that the memory that it
  needs does not grow. Iterating yields `Shown`.

  Attributes:
    stream: the stream, an `av.VideoStream`.
    rate: frames per second that the container states, or 0.
    beginning: seconds that the container calls its beginning.
    size: `(width, height)` that all frames are brought to, that of the first.
    rotation: of the first frame, degrees counter-clockwise as FFmpeg has it.
    failures: a `Failure` for every packet so far that does not decode.
    discarded: the times of packets that an edit list cuts away, as programs
      leave them that cut without encoding again.
  """

  def __init__(self, container, fps=0):
    """Starts at the beginning.

    Args:
      container: an open `av.container.InputContainer`.
      fps: frames per second to which the video is resampled by its timestamps,
        see `frame_rate.resample`; 0 shows every frame once.

    Raises:
      VideoError: as `opening.video`.
    """
    self.stream = opening.video(container)
    self.rate = float(self.stream.average_rate or 0)
    self.beginning = frame_rate.beginning(container, self.stream)
    self.size = None
    self.failures = []
    self.discarded = []
    self._container, self._fps = container, fps
    self._orientation = None
    self._image = None, None  # a frame, and what is made of it
    # One for all frames: setting it up costs more than decoding small frames.
    self._converter = reformatter.VideoReformatter()

  @property
  def rotation(self):
    return self._orientation.rotation

  def __iter__(self):
    stated = False
    for frame, start, end, slot, count in self._resampled():
      self._orientation = self._orientation or orientation.read(frame)
      self.size = self.size or (frame.width, frame.height)
      stated = stated or frame.pts is not None
      yield Shown(frame, start, end, stated, slot, count)

  def image(self, frame):
    """A frame that was shown, upright, `[H, W, 3]` uint8 RGB.

    Asked for the same frame again, it returns the same array.
    """
    if self._image[0] is not frame:
      image = self._converter.reformat(frame, *self.size, 'rgb24').to_ndarray()
      self._image = frame, self._orientation.apply(image)
    return self._image[1]

  def _resampled(self):
    """Yields `(frame, start, end, slot, count)`."""
    frames = decode(self._container, self.stream, self.failures, self.discarded)
    shown = frame_rate.show(frames, self._container, self.stream, self._fps)
    if not self._fps:
      yield from ((*of_frame, 0, 1) for of_frame in shown)
      return
    try:
      yield from frame_rate.resample(shown, self._fps, self.beginning)
    except frame_rate.GapError as error:
      raise opening.VideoError(str(error)) from None


def decode(container, stream, failures, discarded):
  """Yields the frames of every packet that decodes.

  Args:
    container: open.
    stream: of the video.
    failures: takes a `Failure` for every packet that does not decode.
    discarded: takes the times of packets that an edit list cuts away.
  """
  packets = container.demux(stream)
  while len(failures) < MAX_FAILURES:
    try:
      packet = next(packets, None)
    except (av.error.FFmpegError, ValueError) as error:
      failures.append(Failure(opening.reason(error), None))
      packets = container.demux(stream)  # a generator that raised has ended
      continue
    if packet is None:
      return
    if packet.is_discard:
      discarded.append(packet.pts)
    try:
      yield from packet.decode()
    except (av.error.FFmpegError, ValueError) as error:
      failures.append(Failure(opening.reason(error), _time(packet)))


def _time(packet):
  """Seconds at which the frame of a packet is shown, or None."""
  return None if packet.pts is None else float(packet.pts * packet.time_base)
