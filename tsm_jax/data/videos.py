"""Frames out of video files and JPEG bytes, and back.

A frame is `[H, W, 3]` uint8 RGB. No file is trusted: its container's claims are
compared with what decodes.
"""

from collections.abc import Callable
import os
import re
from typing import Any, NamedTuple

import av
from av.video import reformatter
import cv2
import numpy as np
from PIL import Image

from tsm_jax import errors
from tsm_jax.data import rates

SUFFIXES = ('.avi', '.mkv', '.mov', '.mp4', '.webm')
MAX_FAILURES = 1000  # after so many broken packets, the rest is given up
MIN_DURATION = 0.97  # of its stated length, for a video to count as whole
COVER_ART = av.stream.Disposition.attached_pic

cv2.setNumThreads(1)  # the processes and threads around it are parallel


class VideoError(errors.InputError):
  """A video that cannot be used; the message is the reason without a name."""


class Video(NamedTuple):
  """A decoded video.

  Attributes:
    frames: what `keep` made of every frame, in order.
    fps: frames per second as asked for, or as the container states it, 0 if it
      does not.
    damage: what is broken in a video of which only a part decodes, else ''.
    share: the part of its frames that decode, in (0, 1].
  """

  frames: list[Any]
  fps: float
  damage: str
  share: float


def read(path, keep: Callable[[np.ndarray], Any] = lambda frame: frame, fps=0):
  """Decodes all frames of a video file, past its damaged packets.

  Of several video streams it is the first, cover pictures aside. The rotation
  in the metadata is applied, as players do. A frame whose size differs from
  that of the first is scaled to it.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    keep: maps a frame `[H, W, 3]` uint8 to what is kept of it; called anew for
      a frame that is repeated, with the same array.
    fps: frames per second to which the video is resampled by its timestamps,
      see `rates.resample`; 0 keeps every frame once.

  Returns:
    A `Video`.

  Raises:
    VideoError: if the file cannot be read or not a single frame decodes.
  """
  try:
    num_bytes = os.stat(path).st_size
  except FileNotFoundError:
    raise VideoError('file does not exist') from None
  except OSError as error:
    raise VideoError(f'file cannot be read: {_reason(error)}') from error
  if num_bytes == 0:
    raise VideoError('file is empty (0 bytes)')
  try:
    container = av.open(os.fspath(path))
  except (av.error.FFmpegError, OSError, ValueError) as error:
    raise VideoError(f'not a readable video: {_reason(error)}') from error
  with container:
    streams = container.streams.video
    stream = next((s for s in streams if not s.disposition & COVER_ART), None)
    if stream is None:
      raise VideoError('has no video stream')
    stream.thread_count = 1
    # One for all frames: setting it up costs more than decoding small frames.
    converter = reformatter.VideoReformatter()
    kept, failures, size, end, decoded = [], [], None, 0.0, 0
    for frame, times in _timed(container, stream, failures, fps):
      turns = (int(frame.rotation) // 90) % 4
      size = size or (frame.width, frame.height)
      decoded += 1
      end = max(end, frame.time or 0)
      if times:
        image = converter.reformat(frame, *size, 'rgb24').to_ndarray()
        image = np.ascontiguousarray(np.rot90(image, turns))
        kept += [keep(image) for _ in range(times)]
    if not kept:
      reason = f': {failures[0]}' if failures else ''
      raise VideoError(f'no frame decodes{reason}')
    damage, share = _damage(container, stream, decoded, end, failures)
    fps = float(fps or stream.average_rate or 0)
  return Video(kept, fps, damage, share)


def _timed(container, stream, failures, fps):
  """Yields `(frame, times)`: once each, or as often as `fps` makes it."""
  frames = _decode(container, stream, failures)
  if not fps:
    yield from ((frame, 1) for frame in frames)
    return
  try:
    yield from rates.resample(
      frames, stream.time_base, stream.average_rate or 0, fps
    )
  except rates.GapError as error:
    raise VideoError(str(error)) from None


def _decode(container, stream, failures):
  """Yields the frames of every packet that decodes; appends what fails."""
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
    try:
      yield from packet.decode()
    except (av.error.FFmpegError, ValueError) as error:
      failures.append(_reason(error))


def _damage(container, stream, count, end, failures):
  """What is broken in a video of which `count` frames decode, and the share.

  Args:
    container: open.
    stream: of the video.
    count: frames that decode, positive.
    end: time of the last of them, seconds.
    failures: of packets, reasons.

  Returns:
    `(damage, share)` as in `Video`.
  """
  reason = failures[0] if failures else 'the rest is missing'
  expected = max(stream.frames, count + (1 if failures else 0))
  if count < expected:
    return f'{count} of {expected} frames decode: {reason}', count / expected
  duration = _duration(container, stream)
  if stream.frames or not duration:
    return '', 1.0
  # Matroska and WebM count no frames, but state how long they are.
  rate = float(stream.average_rate or 0)
  end += 1 / rate if rate else 0
  if end < MIN_DURATION * duration:
    return f'ends after {end:.2f} of {duration:.2f} s', end / duration
  expected = round(duration * rate)
  if count < MIN_DURATION * expected:
    # Not held against it: this is how a variable frame rate looks, too.
    return (
      f'{count} frames decode where its rate and duration make {expected}: '
      'some are lost, or its frame rate varies'
    ), 1.0
  return '', 1.0


def _duration(container, stream):
  """The stated length in seconds, or 0."""
  if stream.duration:
    return float(stream.duration * stream.time_base)
  stated = re.fullmatch(
    r'(\d+):(\d+):(\d+\.?\d*)', stream.metadata.get('DURATION', '')
  )
  if stated:
    hours, minutes, seconds = map(float, stated.groups())
    return 3600 * hours + 60 * minutes + seconds
  if container.duration and len(container.streams) == 1:
    return container.duration / av.time_base
  return 0.0


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


def short_side_size(width, height, short_side):
  """`(width, height)` with the given shorter side, the longer one floored."""
  if width <= height:
    return short_side, short_side * height // width
  return short_side * width // height, short_side


def resize(image, width, height):
  """Pillow's bilinear resize (antialiased when shrinking) of a uint8 frame."""
  if image.shape[:2] == (height, width):
    return image
  scaled = Image.fromarray(image).resize(
    (width, height), Image.Resampling.BILINEAR
  )
  return np.asarray(scaled)


def encode_jpeg(image, quality):
  """JPEG bytes (4:2:0) of a frame."""
  _, data = cv2.imencode(
    '.jpg', image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality)
  )
  return data.tobytes()


def decode_jpeg(data):
  """The frame `[H, W, 3]` uint8 RGB of JPEG bytes; ValueError if it is none."""
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
  if image is None:
    raise ValueError(f'{len(data)} bytes that are no JPEG image')
  return image
