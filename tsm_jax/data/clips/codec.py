"""Turns a clip into its stored form, and back.

A record holds the bytes of every frame in `frames`, JPEG images or H.264
packets; only the frames that are needed are decoded. Optical flow is stored as
two grey images of each frame, of x and of y.
"""

import functools
import os

import av
import numpy as np

from tsm_jax.data import defaults
from tsm_jax.data.clips import h264, images, limits, pixels, videos
from tsm_jax.data.clips.films import parts


def to_record(path, options=defaults.USUAL, modality='rgb'):
  """The stored form of a clip, shrunk, never enlarged.

  Args:
    path: a video file, or a folder of numbered images, see `images.read`.
    options: `defaults.Options`.
    modality: 'rgb', or 'flow', which is read from folders only.

  Returns:
    `(record, video)`: a dict with frames (list of the bytes of each; of flow x,
    y, x, y, ...), num_frames (of flow, pairs), height, width and fps (0 if
    unknown), and the `videos.Video` that it was made of.

  Raises:
    VideoError: if the clip cannot be used, see `videos.read`.
  """
  if os.path.isdir(path):
    video, size = images.read(path, options, modality)
    return _record(video.frames, size, video, modality)
  _refuse_flow(path, modality)
  writer = Writer(options)
  video = videos.read(path, writer.add, options.fps, options.max_frames)
  return _record(writer.end(), writer.size, video)


def _refuse_flow(path, modality):
  if modality == 'flow' and os.path.exists(path):
    raise videos.VideoError(
      'is not a folder of images; flow is only read from such folders'
    )


def _record(frames, size, video, modality='rgb'):
  """What `to_record` returns."""
  height, width = size
  per_frame = 2 if modality == 'flow' else 1
  record = {
    'frames': frames,
    'num_frames': len(frames) // per_frame,
    'height': height,
    'width': width,
    'fps': video.fps,
  }
  return record, video._replace(frames=frames)


def to_records(path, segments, options=defaults.USUAL, modality='rgb'):
  """The stored forms of several parts of a clip, which is decoded once.

  Args:
    path: as in `to_record`.
    segments: a `segments.Segment` for each part. Those of a folder of images
      are in frames.
    options: `defaults.Options`; `max_frames` is that of a part.
    modality: as in `to_record`.

  Yields:
    `(number, result)` of every part, as soon as it ends: its number in
    `segments`, and what `to_record` returns or the `VideoError` that it raises.

  Raises:
    VideoError: if nothing of the clip can be used.
  """
  if os.path.isdir(path):
    for number, segment in enumerate(segments):
      try:
        video, size = images.read(path, options, modality, segment)
        yield number, _record(video.frames, size, video, modality)
      except videos.PassingError:
        raise
      except videos.VideoError as error:
        yield number, error
    return
  _refuse_flow(path, modality)
  found = parts.read(
    path,
    segments,
    functools.partial(Writer, options),
    options.fps,
    options.max_frames,
  )
  for number, writer, video in found:
    if writer is None:
      yield number, video  # why there is none
    else:
      yield number, _record(writer.end(), writer.size, video)


class Writer:
  """Brings frames into their stored form, one after the other."""

  def __init__(self, options):
    self.size = None  # (height, width) of the stored frames
    self._short_side = options.short_side
    self._quality = options.quality
    self._encoder = h264.Encoder() if options.storage == 'video' else None
    self._frames = []
    self._num_bytes = 0
    self._source = self._image = None

  def add(self, image):
    """Adds a frame `[H, W, 3]` uint8, shrunk to the short side."""
    repeated = image is self._source
    if not repeated:
      self._source = image
      self._image = pixels.shrink(image, self._short_side)
      self.size = self._image.shape[:2]
    try:
      self._store(repeated)
    except (av.error.FFmpegError, ValueError) as error:  # a side is too long
      height, width = self.size
      raise videos.VideoError(
        f'has pictures of {width}x{height} pixels, which cannot be stored'
      ) from error
    if reason := limits.too_heavy(self._num_bytes):
      raise videos.VideoError(reason)

  def _store(self, repeated):
    if self._encoder:
      self._encoder.add(self._image)
      return
    if repeated:
      self._frames.append(self._frames[-1])
    else:
      self._frames.append(pixels.encode_jpeg(self._image, self._quality))
    self._num_bytes += len(self._frames[-1])

  def end(self):
    """A list of the stored bytes of each frame."""
    return self._encoder.end() if self._encoder else self._frames


def decode(record, indices, modality='rgb'):
  """Decodes chosen frames of a record, each of them once.

  Args:
    record: from `to_record`.
    indices: of frames, or of pairs of flow images, `[N]`, in any order.
    modality: what it holds, 'rgb' or 'flow'.

  Returns:
    A list of N frames, uint8 `[H, W, 3]`, or `[H, W, 2]` of flow.

  Raises:
    ValueError: if the bytes of a frame are damaged.
  """
  chosen, inverse = np.unique(indices, return_inverse=True)
  frames, chosen = record['frames'], chosen.tolist()
  if modality == 'flow':
    decoded = [_decode_flow(*frames[2 * i : 2 * i + 2]) for i in chosen]
  elif h264.is_packet(frames[0]):
    size = record['height'], record['width']
    decoded = h264.decode(frames, chosen, *size)
  else:
    decoded = [pixels.decode_jpeg(frames[i]) for i in chosen]
  return [decoded[i] for i in inverse.tolist()]


def _decode_flow(x, y):
  if not y:  # x holds both
    return pixels.decode_jpeg(x)[..., :2]
  pair = (pixels.decode_jpeg(x, gray=True), pixels.decode_jpeg(y, gray=True))
  return np.stack(pair, axis=-1)
