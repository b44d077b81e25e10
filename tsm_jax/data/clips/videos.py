"""Frames out of video files and JPEG bytes, and back.

A frame is `[H, W, 3]` uint8 RGB. No file is trusted: its container's claims are
compared with what decodes.
"""

from collections.abc import Callable, Sequence
import math
import os
from typing import Any, NamedTuple

import av
from av.video import reformatter
import cv2
import numpy as np
from PIL import Image

from tsm_jax import errors
from tsm_jax.data.clips import containers, frame_rate, limits

SUFFIXES = ('.avi', '.mkv', '.mov', '.mp4', '.webm')
MAX_FAILURES = 1000  # after so many broken packets, the rest is given up
MAX_SHRINK = 1.25  # of a side, by the fast resize
COVER_ART = av.stream.Disposition.attached_pic

cv2.setNumThreads(1)  # the processes and threads around it are parallel


class VideoError(errors.InputError):
  """A video that cannot be used; the message is the reason without a name."""


class NoFrameError(VideoError):
  """A video that opens, but of which no frame decodes."""


class Video(NamedTuple):
  """A decoded video.

  Attributes:
    frames: what `keep` made of every frame, in order.
    fps: frames per second as asked for, or as the container states it, 0 if it
      does not.
    damage: what is broken in a video of which only a part decodes, else ''.
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
  max_frames=limits.MAX_FRAMES,
):
  """Decodes all frames of a video file, past its damaged packets.

  Of several video streams it is the first, cover pictures aside. The rotation
  in the metadata is applied, as players do. A frame whose size differs from
  that of the first is scaled to it.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    keep: maps a frame `[H, W, 3]` uint8 to what is kept of it; called anew for
      a frame that is repeated, with the same array.
    fps: frames per second to which the video is resampled by its timestamps,
      see `frame_rate.resample`; 0 keeps every frame once.
    max_frames: that may be kept.

  Returns:
    A `Video`.

  Raises:
    VideoError: if the file cannot be read, not a single frame decodes, or it
      is too long or its pictures too large, see `limits`.
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
    stream = _stream(container)
    # One for all frames: setting it up costs more than decoding small frames.
    converter = reformatter.VideoReformatter()
    kept, times, failures, discarded, size = [], [], [], [], None
    rotation = concealed = 0
    frames = _decode(container, stream, failures, discarded)
    for frame, count in _resample(frames, stream, fps):
      rotation = rotation or frame.rotation
      turns = round(frame.rotation / 90) % 4
      size = size or (frame.width, frame.height)
      times.append(math.nan if frame.time is None else frame.time)
      concealed += frame.is_corrupt
      if reason := limits.too_long(len(kept) + count, max_frames):
        raise VideoError(reason)
      if count:
        image = converter.reformat(frame, *size, 'rgb24').to_ndarray()
        image = np.ascontiguousarray(np.rot90(image, turns))
        kept += [keep(image) for _ in range(count)]
    if not kept:
      reason = f': {failures[0]}' if failures else ''
      raise NoFrameError(f'no frame decodes{reason}')
    native = float(stream.average_rate or 0)
    claimed = containers.of(container, stream, len(discarded), rotation)
  damage, share = containers.damage(claimed, native, times, failures)
  if concealed and not damage:
    # Their packets decode to something, of which FFmpeg has made up a part.
    damage = f'{concealed} of {len(times)} frames are damaged'
  return Video(kept, float(fps or native), damage, share, times, claimed)


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


def _resample(frames, stream, fps):
  """Yields `(frame, count)`: once each, or as often as `fps` makes it."""
  if not fps:
    yield from ((frame, 1) for frame in frames)
    return
  try:
    yield from frame_rate.resample(
      frames, stream.time_base, stream.average_rate or 0, fps
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


def short_side_size(width, height, short_side):
  """`(width, height)` with the given shorter side, the longer one floored."""
  if width <= height:
    return short_side, short_side * height // width
  return short_side * width // height, short_side


def resize(image, width, height):
  """Pillow's bilinear resize (antialiased when shrinking) of a uint8 frame.

  Args:
    image: `[H, W]`, `[H, W, 3]`, or `[H, W, 2]` of flow.
    width: pixels.
    height: pixels.
  """
  if image.shape[:2] == (height, width):
    return image
  if image.shape[2:] == (2,):  # Pillow would take y for the opacity of x
    x, y = (resize(image[..., i], width, height) for i in range(2))
    return np.stack([x, y], axis=-1)
  scaled = Image.fromarray(image).resize(
    (width, height), Image.Resampling.BILINEAR
  )
  return np.asarray(scaled)


def resize_fast(image, width, height):
  """As `resize`, by OpenCV, in a sixth of the time where it is used.

  Enlarged, a value differs by one level at most. Shrunk a little, it lacks the
  averaging of Pillow: by 0.3 levels in the mean of a natural image. Shrunk by
  more than `MAX_SHRINK` it is `resize`.
  """
  if max(image.shape[0] / height, image.shape[1] / width) > MAX_SHRINK:
    return resize(image, width, height)
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def encode_jpeg(image, quality):
  """JPEG bytes of a frame, 4:2:0, or of a grey one `[H, W]`."""
  if image.ndim == 3:
    image = image[..., ::-1]
  _, data = cv2.imencode(
    '.jpg',
    image,
    # Its own Huffman tables make an image eight percent smaller.
    (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
  )
  return data.tobytes()


def decode_jpeg(data, gray=False):
  """The frame `[H, W, 3]` uint8 RGB of JPEG bytes; ValueError if it is none.

  With `gray`, it is `[H, W]`.
  """
  mode = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
  image = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
  if image is None:
    raise ValueError(f'{len(data)} bytes that are no JPEG image')
  return image
