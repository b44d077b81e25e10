"""The stored form of a clip: a video file, or a folder of numbered images."""

import io
import os
import pathlib
import re

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tsm_jax.data import h264, videos
from tsm_jax.data import storage as storage_lib

_NUMBERED = re.compile(r'(?P<stem>.*?)(?P<number>\d+)\.(jpe?g|png)', re.I)
_BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def to_record(path, short_side, quality, storage='frames', fps=0):
  """As `storage.to_record`; `path` may also be a folder of numbered images.

  JPEG images that need no shrinking are stored as the bytes they are. Numbers
  start at 0 or 1; a gap and an unreadable image are damage, as in a video. The
  rate of a folder is unknown: its fps is 0, and it cannot be resampled.
  """
  if not os.path.isdir(path):
    return storage_lib.to_record(path, short_side, quality, storage, fps)
  if fps:
    raise videos.VideoError(
      f'is a folder of images without timestamps, which fps={fps:g} needs'
    )
  # Where they become a video, nothing is lost to JPEG before.
  quality = 100 if storage == 'video' else quality
  images = _numbered(path)
  first, last = min(images), max(images)
  frames, size, problems = [], None, []
  for number in range(min(first, 1), last + 1):
    if number not in images:
      problems.append(f'image {number} is missing')
      continue
    try:
      data, size = _store(images[number], size, short_side, quality)
    except _BROKEN as error:
      problems.append(f'{images[number].name} is unreadable: {error}')
    else:
      frames.append(data)
  if not frames:
    raise videos.NoFrameError(f'no image can be read: {problems[0]}')
  expected = len(frames) + len(problems)
  damage = ''
  if problems:
    damage = f'{len(frames)} of {expected} images are good: {problems[0]}'
  if storage == 'video':
    frames = _to_video(frames)
  width, height = size
  record = {
    'frames': frames,
    'num_frames': len(frames),
    'height': height,
    'width': width,
    'fps': 0.0,
  }
  return record, videos.Video(frames, 0.0, damage, len(frames) / expected)


def _to_video(jpegs):
  encoder = h264.Encoder()
  for data in jpegs:
    encoder.add(videos.decode_jpeg(data))
  return encoder.end()


def _numbered(folder):
  """The images of one clip as a mapping from number to path."""
  series = {}
  for name in os.listdir(folder):
    match = _NUMBERED.fullmatch(name)
    # Optical flow lies beside the frames where both were extracted.
    if match and not name.startswith(('.', 'flow_')):
      images = series.setdefault(match['stem'], {})
      twin = images.setdefault(int(match['number']), name)
      if twin != name:
        twins = ' and '.join(sorted((twin, name)))
        raise videos.VideoError(f'{twins} have the same number')
  if not series:
    raise videos.NoFrameError('holds no numbered image')
  if len(series) > 1:
    raise videos.VideoError(
      f'holds images of several names: {", ".join(sorted(series))}'
    )
  (images,) = series.values()
  return {i: pathlib.Path(folder) / name for i, name in images.items()}


def _store(path, size, short_side, quality):
  """JPEG bytes of an image, and their size.

  Args:
    path: of the image.
    size: `(width, height)` that all images of the clip have, or None.
    short_side: pixels of the shorter side; smaller images stay as they are.
    quality: of the JPEG where a new one is made.
  """
  data = path.read_bytes()
  with Image.open(io.BytesIO(data)) as opened:
    opened.load()  # all of it: a header alone can be whole in a cut file
    turned = opened.getexif().get(ExifTags.Base.Orientation, 1) != 1
    image = ImageOps.exif_transpose(opened) if turned else opened
    if size is None:
      size = image.size
      if min(size) > short_side:
        size = videos.short_side_size(*size, short_side)
    as_is = opened.format == 'JPEG' and opened.mode in ('RGB', 'L')
    if as_is and not turned and image.size == size:
      return data, size
    frame = np.asarray(image.convert('RGB'))
  return videos.encode_jpeg(videos.resize(frame, *size), quality), size
