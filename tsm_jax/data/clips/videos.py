"""Frames out of video files, and back.

A frame is `[H, W, 3]` uint8 RGB. No file is trusted: its container's claims are
compared with what decodes.
"""

from collections.abc import Callable, Sequence
import math
import os
from typing import Any, NamedTuple

import av
from av.video import reformatter
import numpy as np

from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import containers, frame_rate, limits, orientation

SUFFIXES = ('.avi', '.mkv', '.mov', '.mp4', '.webm')
MAX_FAILURES = 1000  # broken packets, after which the rest is given up
COVER_ART = av.stream.Disposition.attached_pic


class VideoError(errors.InputError):
  """A video that cannot be used; the message is the reason without a name."""


class NoFrameError(VideoError):
  """A video that opens, but has no frame that decodes."""


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

  The first video stream that is not a cover picture is read. All pictures are
  rotated and mirrored as the first frame states it, as in players.
  A frame whose size differs from that of the first is scaled to it.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    keep: maps a frame `[H, W, 3]` uint8 to what is kept of it; called again
      for a frame that is repeated, with the same array.
    fps: frames per second to which the video is resampled by its timestamps,
      see `frame_rate.resample`; 0 keeps every frame once.
    max_frames: that may be kept.

  Returns:
    A `Video`.

  Raises:
    VideoError: if the file cannot be read, not a single frame decodes, or it
      is too long or its pictures too large, see `limits`.
  """
  with _open(path) as container:
    stream = _stream(container)
    # One for all frames: setting it up costs more than decoding small frames.
    converter = reformatter.VideoReformatter()
    kept, times, failures, discarded, size = [], [], [], [], None
    shown = None
    concealed = 0
    frames = _decode(container, stream, failures, discarded)
    stated = False
    for frame, start, count in _resample(frames, container, stream, fps):
      shown = shown or orientation.read(frame)
      size = size or (frame.width, frame.height)
      stated = stated or frame.pts is not None
      times.append(float(start) if stated else math.nan)
      concealed += frame.is_corrupt
      if reason := limits.too_long(len(kept) + count, max_frames):
        raise VideoError(reason)
      if count:
        image = converter.reformat(frame, *size, 'rgb24').to_ndarray()
        image = shown.apply(image)
        kept += [keep(image) for _ in range(count)]
    if not kept:
      reason = f': {failures[0]}' if failures else ''
      raise NoFrameError(f'no frame decodes{reason}')
    native = float(stream.average_rate or 0)
    claimed = containers.read(container, stream, len(discarded), shown.rotation)
  damage, share = containers.damage(claimed, native, times, failures)
  if concealed and not damage:
    # Their packets decode, but FFmpeg made up a part of the picture.
    damage = f'{concealed} of {len(times)} frames are damaged'
  return Video(kept, float(fps or native), damage, share, times, claimed)


def _open(path):
  """The open container of a file."""
  try:
    num_bytes = os.stat(path).st_size
  except FileNotFoundError:
    raise VideoError('file does not exist') from None
  except OSError as error:
    raise VideoError(f'file cannot be read: {_reason(error)}') from error
  if num_bytes == 0:
    raise VideoError('file is empty (0 bytes)')
  try:
    # An absolute path is never taken for an address, such as cam1:2021.mp4.
    return av.open(os.path.abspath(path))
  except (av.error.FFmpegError, OSError, ValueError) as error:
    raise VideoError(f'not a readable video: {_reason(error)}') from error


def _stream(container):
  """The video to read, prepared to be decoded."""
  streams = container.streams.video
  stream = next((s for s in streams if not s.disposition & COVER_ART), None)
  if stream is None:
    raise VideoError('has no video stream')
  if reason := limits.too_large(stream.width, stream.height):
    raise VideoError(reason)
  stream.thread_count = 1
  # Of pictures that are larger than the container says.
  stream.codec_context.options = {'max_pixels': str(limits.MAX_PIXELS)}
  return stream


def _resample(frames, container, stream, fps):
  """Yields `(frame, start, count)`; the count is 1 unless `fps` is set."""
  shown = frame_rate.show(frames, container, stream, fps)
  if not fps:
    yield from ((frame, start, 1) for frame, start, _ in shown)
    return
  try:
    yield from frame_rate.resample(
      shown, fps, frame_rate.beginning(container, stream)
    )
  except frame_rate.GapError as error:
    raise VideoError(str(error)) from None


def _decode(container, stream, failures, discarded):
  """Yields the frames of every packet that decodes.

  Args:
    container: open.
    stream: of the video.
    failures: takes the reason of every packet that does not decode.
    discarded: takes the times of packets that an edit list cuts away, as
      programs leave them that cut without encoding again.
  """
  packets = container.demux(stream)
  while len(failures) < MAX_FAILURES:
    try:
      packet = next(packets, None)
    except (av.error.FFmpegError, ValueError) as error:
      failures.append(_reason(error))
      packets = container.demux(stream)  # a generator that raised has ended
      continue
    if packet is None:
      return
    if packet.is_discard:
      discarded.append(packet.pts)
    try:
      yield from packet.decode()
    except (av.error.FFmpegError, ValueError) as error:
      failures.append(_reason(error))


def _reason(error):
  return getattr(error, 'strerror', None) or str(error)


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
