"""The stored form of a clip that is a folder of numbered images.

Optical flow comes as images, too: of x and of y, 0 to 255 with no motion in the
middle.
"""

import functools
import math
import os
import pathlib
import re

import numpy as np
from PIL import Image

from tsm_jax.data.clips import (
  h264,
  image_files,
  limits,
  opening,
  pixels,
  videos,
)

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
_NUMBERED = re.compile(r'(?P<stem>.*?)(?P<number>\d+)\.(jpe?g|png)', re.I)
# Each is only looked at where the ones before find nothing.
_OTHERS = re.compile(r'(?P<stem>.*?)(?P<number>\d+)\.(bmp|webp)', re.I)
_IN_BRACKETS = re.compile(  # 'frame (1).jpg', as Windows numbers names
  r'(?P<stem>.*?)\((?P<number>\d+)\)\.(jpe?g|png|bmp|webp)', re.I
)
_FAR = 10  # where numbers start that are not from 0 or 1 on
_MIN_STEPS = 4  # that tell every fifth image from some that are lost
_FLOW_X = re.compile(r'((?:.*[-_])?)x(_?)')  # of a stem: 'flow_x_', '000012-x_'
_BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
MAX_BLANK = 16.0  # deviation of the blue values of an image of x and y


def read(folder, options, modality):
  """The stored form of a folder of numbered images.

  JPEG images that need no shrinking are stored as the bytes they are. Numbers
  start at 0, 1 or far from there, and may have an even step; a gap and an
  unreadable image are damage, as in a video. The rate of a folder is unknown:
  its fps is 0, and it cannot be resampled.

  Of flow, a folder holds either two images for each frame, as
  `flow_x_00001.jpg` and `flow_y_00001.jpg` or `000012-x_00001.jpg` and
  `000012-y_00001.jpg`, possibly next to RGB frames; or one, with x in red, y in
  green and nothing in blue. Such a JPEG that is kept takes the place of x, and
  y is empty. Values stay as they are where images are shrunk, as in the
  official code.

  Args:
    folder: path of the folder.
    options: `defaults.Options`.
    modality: 'rgb' or 'flow'.

  Returns:
    `(video, (height, width))`: a `videos.Video` with the stored bytes as its
    frames, of flow x, y, x, y, ..., and their size.

  Raises:
    VideoError: if the folder cannot be used.
  """
  if options.fps:
    raise videos.VideoError(
      f'is a folder of images without timestamps, which fps={options.fps:g} '
      'needs'
    )
  found = _flow(folder) if modality == 'flow' else _frames(folder)
  if reason := limits.too_long(len(found), options.max_frames):
    raise videos.VideoError(reason)
  as_video = options.storage == 'video'
  store = functools.partial(
    _store_flow if modality == 'flow' else _store,
    reader=image_files.Reader(options.short_side, options.max_frames),
    # Where they become a video, nothing is lost to JPEG before.
    quality=100 if as_video else options.quality,
  )
  stored, size, problem = _read_all(found, store)
  if not stored:
    raise videos.NoFrameError(f'no image can be read: {problem}')
  frames = [data for parts in stored for data in parts]
  count = len(stored)
  expected = len(_expected(found))
  damage = ''
  if problem:
    damage = f'{count} of {expected} images are good: {problem}'
  frames = _to_video(frames) if as_video else frames
  return videos.Video(frames, 0.0, damage, count / expected), size[::-1]


def _to_video(jpegs):
  encoder = h264.Encoder()
  for data in jpegs:
    encoder.add(pixels.decode_jpeg(data))
  return encoder.end()


def _expected(images):
  """The `range` of the numbers of a clip of which no image is lost.

  A clip may be cut out of a longer one, or be every fifth image of it.
  """
  numbers = sorted(images)
  # What their distances have in common; by chance, that is hardly ever more.
  step = math.gcd(*(number - numbers[0] for number in numbers))
  step = step if len(numbers) > _MIN_STEPS else 1
  first = numbers[0] if numbers[0] >= _FAR or step > 1 else min(numbers[0], 1)
  return range(first, numbers[-1] + 1, step)


def _read_all(images, store):
  """What `store` makes of each image, their size, and the first problem."""
  stored, size, problems, num_bytes = [], None, [], 0
  numbers = _expected(images)
  expected = numbers.start
  for number in sorted(images):
    # Numbers may be timestamps: do not loop over what is missing.
    if number != expected and not problems:
      problems.append(
        f'its numbers start at {number} instead of 0 or 1'
        if number == min(images)
        else f'image {expected} is missing'
      )
    expected = number + numbers.step
    try:
      parts, size = store(images[number], size)
    except videos.VideoError:  # it is not of this image
      raise
    except _BROKEN as error:
      names = ' or '.join(path.name for path in images[number])
      problems.append(f'{names} is unreadable: {error}')
    else:
      stored.append(parts)
      num_bytes += sum(map(len, parts))
      if reason := limits.too_heavy(num_bytes):
        raise videos.VideoError(reason)
  return stored, size, problems[0] if problems else ''


def _frames(folder):
  """The frames of one clip, a mapping from number to `(path,)`."""
  # Optical flow may lie next to the frames.
  return _only(_series(folder, ignored=('.', 'flow_')))


def _flow(folder):
  """Its flow, from number to `(x, y)` paths, or `(path,)` of both in one."""
  series = _series(folder, ignored=('.',))
  pairs = {
    match[1]: (stem, f'{match[1]}y{match[2]}')
    for stem in series
    if (match := _FLOW_X.fullmatch(stem))
  }
  if not pairs:
    return _only(series)
  if len(pairs) > 1:
    raise videos.VideoError(
      f'holds flow of several names: {", ".join(sorted(pairs))}'
    )
  ((x, y),) = pairs.values()
  xs, ys = series[x], series.get(y, {})
  found = {i: (xs[i], ys[i]) for i in xs if i in ys}
  if not found:
    raise videos.VideoError(f'holds images {x}... without any {y}...')
  return found


def _series(folder, ignored):
  """The numbered images of a folder, as `{stem: {number: path}}`."""
  try:
    names = os.listdir(folder)
  except OSError as error:
    raise opening.unreadable(error) from error
  for pattern in (_NUMBERED, _OTHERS, _IN_BRACKETS):
    if series := _numbered(folder, names, pattern, ignored):
      return series
  return {}


def _numbered(folder, names, pattern, ignored):
  """As `_series`, of the names that a pattern matches."""
  series = {}
  for name in names:
    match = pattern.fullmatch(name)
    if match and not name.startswith(ignored):
      images = series.setdefault(match['stem'], {})
      twin = images.setdefault(int(match['number']), pathlib.Path(folder, name))
      if twin.name != name:
        twins = ' and '.join(sorted((twin.name, name)))
        raise videos.VideoError(f'{twins} have the same number')
  return series


def _only(series):
  if not series:
    raise videos.NoFrameError('holds no numbered image')
  if len(series) > 1:
    raise videos.VideoError(
      f'holds images of several names: {", ".join(sorted(series))}'
    )
  (images,) = series.values()
  return {number: (path,) for number, path in images.items()}


def _store(paths, size, reader, quality):
  """What is stored of an image, a list of JPEG bytes, and their size.

  Args:
    paths: a tuple with the path of the image.
    size: `(width, height)` that all images of the clip have, or None.
    reader: the `image_files.Reader` of the clip.
    quality: of the JPEG where a new one is made.
  """
  data, image, size = reader.read(*paths, size)
  return [data or _encode(image.convert('RGB'), size, quality)], size


def _store_flow(paths, size, reader, quality):
  """As `_store`, of the images of x and y or of the one that holds both."""
  if len(paths) == 2:
    stored = []
    for path in paths:
      data, image, size = reader.read(path, size)
      stored.append(data or _encode(image.convert('L'), size, quality))
    return stored, size
  data, image, size = reader.read(*paths, size)
  x, y, blank = image.convert('RGB').split()
  if np.asarray(blank).std() > MAX_BLANK:
    raise ValueError('it is a picture, not flow with a blank blue channel')
  if data:
    return [data, b''], size
  # Not as one: JPEG would blur colours, and with them x into y.
  return [_encode(channel, size, quality) for channel in (x, y)], size


def _encode(image, size, quality):
  return pixels.encode_jpeg(pixels.resize(np.asarray(image), *size), quality)
