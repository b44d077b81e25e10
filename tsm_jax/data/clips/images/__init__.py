"""The stored form of a clip that is a folder of numbered images.

Optical flow comes as images, too: of x and of y, 0 to 255 with no motion in the
middle.
"""

import functools
import re

import numpy as np
from PIL import Image

from tsm_jax.data.clips import h264, limits, pixels, videos
from tsm_jax.data.clips.images import image_files, numbered

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
_FLOW_X = re.compile(r'((?:.*[-_])?)x(_?)')  # of a stem: 'flow_x_', '000012-x_'
_BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
MAX_BLANK = 16.0  # deviation of the blue values of an image of x and y


def read(folder, options, modality, segment=None):
  """The stored form of a folder of numbered images.

  JPEG images that need no shrinking are stored as the bytes they are. Numbers
  start at 0 or 1, or are regular from another one on; a gap and an unreadable
  image are damage, as in a video. The
  rate of a folder is unknown: its fps is 0, and it cannot be resampled.

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
    segment: the `segments.Segment` to read, in frames, or None for all. Frame 0
      is the first image; one that is missing counts.

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
  found, lone = _flow(folder) if modality == 'flow' else (_frames(folder), '')
  first, step = numbered.counted(found)
  last, odd = max(found), _odd(found, first, step)
  if segment:
    found, first, last, odd = _part(found, segment, first, step)
    lone = ''  # of another part, maybe; of this one, it is missing
  if reason := limits.too_long(len(found), options.max_frames):
    raise videos.VideoError(reason)
  as_video = options.storage == 'video'
  store = functools.partial(
    _store_flow if modality == 'flow' else _store,
    reader=image_files.Reader(options.short_side, options.max_frames),
    # Where they become a video, nothing is lost to JPEG before.
    quality=100 if as_video else options.quality,
  )
  stored, size, problem = _read_all(found, store, first, step, not segment)
  problem = problem or odd or lone
  if not stored:
    raise videos.NoFrameError(f'no image can be read: {problem}')
  frames = [data for parts in stored for data in parts]
  count = len(stored)
  expected = (last - first) // step + 1
  damage = ''
  if problem:
    damage = f'{count} of {expected} images are good: {problem}'
  frames = _to_video(frames) if as_video else frames
  return videos.Video(frames, 0.0, damage, count / expected), size[::-1]


def _part(found, segment, first, step):
  """Of a part: its images, first and last number, and what it lacks, or ''."""
  if segment.unit == 'seconds':
    raise videos.VideoError(
      'is a folder of images without times; give start_frame and end_frame'
    )
  total = (max(found) - first) // step + 1
  start, end = segment.start, segment.end or total
  if start >= total:
    raise videos.NoFrameError(
      f'begins at frame {start}, but there are {total} images'
    )
  low, high = first + start * step, first + end * step
  some = {i: paths for i, paths in found.items() if low <= i < high}
  if not some:
    raise videos.NoFrameError(f'image {low} is missing, and the others of it')
  odd = f'ends at frame {end}, but there are {total} images'
  return some, low, high - step, odd if end > total else ''


def _odd(images, first, step):
  """What is said of numbers that do not start at 0 or 1, or skip some."""
  if (first, step) == (min(first, 1), 1):
    return ''
  return (
    f'they are numbered from {first} to {max(images)}'
    + (f' in steps of {step}' if step > 1 else '')
    + ', which is taken as all of the clip'
  )


def count(folder, modality='rgb'):
  """The number of images (of flow, pairs) of a whole folder.

  Raises:
    VideoError: if it holds none, or several clips.
  """
  found = _flow(folder)[0] if modality == 'flow' else _frames(folder)
  first, step = numbered.counted(found)
  return (max(found) - first) // step + 1


def _to_video(jpegs):
  encoder = h264.Encoder()
  for data in jpegs:
    encoder.add(pixels.decode_jpeg(data))
  return encoder.end()


def _read_all(images, store, first, step, whole):
  """What `store` makes of each image, their size, and the first problem."""
  stored, size, problems, num_bytes = [], None, [], 0
  expected = first
  for number in sorted(images):
    # Numbers may be timestamps: do not loop over what is missing.
    if number != expected and not problems:
      problems.append(
        f'its numbers start at {number} instead of 0 or 1'
        if whole and number == min(images)
        else f'image {expected} is missing'
      )
    expected = number + step
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
  return stored, size, next(iter(problems), '')


def _frames(folder):
  """The frames of one clip, a mapping from number to `(path,)`."""
  # Optical flow may lie next to the frames.
  return _only(numbered.series(folder, ignored=('.', 'flow_')))


def _flow(folder):
  """`(flow, lone)`: what it holds, and what is said of images without another.

  The flow is a dict from number to `(x, y)` paths, or `(path,)` of both in one.
  """
  series = numbered.series(folder, ignored=('.',))
  pairs = {
    match[1]: (stem, f'{match[1]}y{match[2]}')
    for stem in series
    if (match := _FLOW_X.fullmatch(stem))
  }
  if not pairs:
    return _only(series), ''
  if len(pairs) > 1:
    raise videos.VideoError(
      f'holds flow of several names: {", ".join(sorted(pairs))}'
    )
  ((x, y),) = pairs.values()
  xs, ys = series[x], series.get(y, {})
  found = {i: (xs[i], ys[i]) for i in xs if i in ys}
  if not found:
    raise videos.VideoError(f'holds images {x}... without any {y}...')
  if not (lone := sorted(xs.keys() ^ ys.keys())):
    return found, ''
  return found, f'image {lone[0]} has no {"y" if lone[0] in xs else "x"}'


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
