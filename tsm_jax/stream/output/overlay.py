"""The video again, with what goes on in it written on every frame."""

import fractions
import os

import av
import numpy as np

from tsm_jax import errors
from tsm_jax.data.clips import pixels
from tsm_jax.stream.output import base, lettering

_CLOCK = 90_000  # of MPEG: ticks per second
# MP4 in fragments: it needs no more memory the longer it gets, and what is
# written can be played when the program was killed.
_FRAGMENTS = {'movflags': 'frag_keyframe+empty_moov+default_base_moof'}


class Overlay(base.Output):
  """A video of H.264 with label and score on every frame, at their times.

  It has the size of the first frame, made even; others are scaled to it.
  """

  def __init__(self, path, rate=0):
    """Creates the file.

    Args:
      path: of a file that ends with .mp4 or .mkv.
      rate: frames per second that the source states, or 0.

    Raises:
      InputError: if it cannot be written.
    """
    base.check(path)
    ending = os.path.splitext(path)[1].lower()
    self._path, self._rate, self._stream = path, rate, None
    options = _FRAGMENTS if ending == '.mp4' else {}
    try:
      self._container = av.open(path, 'w', options=options)
    except (av.error.FFmpegError, OSError) as error:
      raise errors.InputError(
        f'{path!r} cannot be written: {error.strerror}.'
      ) from error
    self._last = -1

  def frame(self, frame, label, score):
    drawn = self._fitted(np.asarray(lettering.draw(frame.image, label, score)))
    video_frame = av.VideoFrame.from_ndarray(drawn, format='rgb24')
    # Two frames of one time cannot be written.
    self._last = max(round(frame.time * _CLOCK), self._last + 1)
    video_frame.pts = self._last
    video_frame.time_base = fractions.Fraction(1, _CLOCK)
    self._write(video_frame)

  def _fitted(self, image):
    """A picture of the size of the stream, which the first one decides."""
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), 'edge')
    if self._stream is None:
      rate = fractions.Fraction(self._rate or 25).limit_denominator(1001)
      # Without B-frames, which would delay all: there is no edit list.
      options = {'preset': 'veryfast', 'crf': '23', 'bf': '0'}
      self._stream = self._container.add_stream(
        'libx264', rate=rate, options=options
      )
      self._stream.width, self._stream.height = even.shape[1::-1]
      self._stream.pix_fmt = 'yuv420p'
      self._stream.codec_context.time_base = fractions.Fraction(1, _CLOCK)
    return pixels.resize(even, self._stream.width, self._stream.height)

  def _write(self, video_frame=None):
    """Encodes a frame; None ends the video.

    Raises:
      InputError: if it cannot be written, as on a full disk.
    """
    stream, self._stream = self._stream, None
    try:
      self._container.mux(stream.encode(video_frame))
    except (av.error.FFmpegError, OSError) as error:
      # FFmpeg crashes where one goes on after this.
      raise errors.InputError(
        f'{self._path!r} cannot be written: {error.strerror}.'
      ) from error
    self._stream = stream

  def close(self):
    if self._stream:
      self._write()
    self._container.close()
