"""Frames out of video files, and back.

A frame is `[H, W, 3]` uint8 RGB. No file is trusted: its container's claims are
compared with what decodes.
"""

from collections.abc import Callable, Sequence
import math
import os
import time
from typing import Any, NamedTuple

import av
import numpy as np

from tsm_jax.data import defaults
from tsm_jax.data.clips import containers, limits, opening, player

# What usually holds a film; whether it can be read shows when it is decoded.
SUFFIXES = (
  *('.3g2', '.3gp', '.asf', '.avi', '.divx', '.dv', '.f4v', '.flv', '.gif'),
  *('.m1v', '.m2t', '.m2ts', '.m2v', '.m4v', '.mjpeg', '.mjpg', '.mkv'),
  *('.mov', '.mp4', '.mpe', '.mpeg', '.mpg', '.mts', '.mxf', '.ogm', '.ogv'),
  *('.qt', '.rm', '.rmvb', '.ts', '.vob', '.webm', '.wmv', '.y4m'),
)
VideoError = opening.VideoError
NoFrameError = opening.NoFrameError
PassingError = opening.PassingError


class Video(NamedTuple):
  """A decoded video.

  Attributes:
    frames: what `keep` made of every frame, in order.
    fps: frames per second as asked for, or as the container states it, 0 if it
      does not.
    damage: what is broken if only a part of the video decodes, else ''.
    share: the part of its frames that decode, in (0, 1].
    times: seconds at which the frames that decode are shown, NaN where that is
      not stated.
    claimed: by its container.
  """

  frames: list[Any]
  fps: float
  damage: str
  share: float
  times: Sequence[float] = ()
  claimed: containers.Claims = containers.Claims()


def read(
  path,
  keep: Callable[[np.ndarray], Any] = lambda frame: frame,
  fps=0,
  max_frames=defaults.USUAL.max_frames,
):
  """Decodes all frames of a video file, past its damaged packets.

  Of several video streams, the one that its container calls the default is
  read, or the first; cover pictures do not count. All pictures are rotated and
  mirrored as the first frame states it, as in players.
  A frame whose size differs from that of the first is scaled to it.

  Args:
    path: a file of a container of `opening.FORMATS` and any codec that FFmpeg
      knows.
    keep: maps a frame `[H, W, 3]` uint8 to what is kept of it; called again
      for a frame that is repeated, with the same array.
    fps: frames per second to which the video is resampled by its timestamps,
      see `frame_rate.resample`; 0 keeps every frame once.
    max_frames: that may be kept.

  Returns:
    A `Video`.

  Raises:
    VideoError: if the file cannot be read, not a single frame decodes, or it
      is too long or its pictures too large, see `limits`. It is a
      `PassingError` if the file is away or its disk fails.
  """
  with opening.container(path) as container:
    shown = player.Player(container, fps)
    most = Most(max_frames)
    most.refuse_index(shown.stream)
    kept, times, concealed = [], [], 0
    for frame, start, _, stated, _, count in shown:
      times.append(float(start) if stated else math.nan)
      concealed += frame.is_corrupt
      most.add(frame, shown.size, count)
      if count:
        image = shown.image(frame)
        kept += [keep(image) for _ in range(count)]
    reasons = [failure.reason for failure in shown.failures]
    if not kept:
      reason = f': {reasons[0]}' if reasons else ''
      raise NoFrameError(f'no frame decodes{reason}')
    claimed = claims(path, container, shown, times)
  damage, share = containers.damage(claimed, shown.rate, times, reasons)
  if concealed and not damage:
    # Their packets decode, but FFmpeg made up a part of the picture.
    damage = f'{concealed} of {len(times)} frames are damaged'
  return Video(kept, float(fps or shown.rate), damage, share, times, claimed)


def claims(path, container, shown, times):
  """The `containers.Claims` of a video that is decoded to its end.

  Args:
    path: of the file.
    container: of it, open.
    shown: the `player.Player` that has come to its end.
    times: seconds at which its frames are shown, NaN where not stated.
  """
  claimed = containers.read(
    container, shown.stream, len(shown.discarded), shown.rotation
  )
  if containers.stated_for_all(container):
    claimed = _without_others(claimed, path, times, shown.rate)
  return claimed


class Most:
  """Counts the frames, pixels and time of a clip.

  Its methods raise VideoError if they are too many.
  """

  def __init__(self, max_frames):
    self._max_frames = max_frames
    self._frames = self._pixels = 0
    self._start = time.thread_time()

  def refuse_index(self, stream):
    """At once, where the container has an index; it may state too little."""
    num_pixels = len(stream.index_entries) * stream.width * stream.height
    self._refuse(limits.too_much(num_pixels, self._max_frames))

  def add(self, frame, size, count):
    """Adds a frame that is scaled to `size` and seen `count` times."""
    self._frames += count
    self._refuse(limits.too_long(self._frames, self._max_frames))
    if not self._pixels:  # the header need not have told it
      self._refuse(limits.too_large(*size))
    area = max(frame.width * frame.height, size[0] * size[1])
    self._pixels += area * max(count, 1)
    self._refuse(limits.too_much(self._pixels, self._max_frames))
    self._refuse(limits.too_slow(time.thread_time() - self._start))

  @staticmethod
  def _refuse(reason):
    if reason:
      raise VideoError(reason)


def _without_others(claimed, path, times, rate):
  """The `Claims` without a duration that is the sound's, not the video's.

  If nothing in the file goes on so long, it is cut, and they stay as they are.
  """
  least = containers.MIN_DURATION * claimed.duration
  if containers.end_time(times, rate) >= least:
    return claimed
  with opening.container(path) as container:
    end = containers.last_time(container)
  return claimed._replace(duration=0.0) if end >= least else claimed


def write(path, frames, fps=24, codec='libx264', options=None):
  """Encodes `frames` (equal even sizes) into a video file, losslessly.

  Args:
    path: where to; the ending chooses the container.
    frames: `[H, W, 3]` uint8 each.
    fps: frames per second, an integer.
    codec: FFmpeg's name of an encoder.
    options: of the encoder; by default every frame is coded without loss, so
      that the same frame decodes to the same pixels wherever it stands.
  """
  options = {'qp': '0', 'preset': 'ultrafast'} if options is None else options
  height, width = frames[0].shape[:2]
  with av.open(os.fspath(path), 'w') as container:
    stream = container.add_stream(codec, rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
    stream.thread_count = 1
    for image in frames:
      frame = av.VideoFrame.from_ndarray(image, format='rgb24')
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
