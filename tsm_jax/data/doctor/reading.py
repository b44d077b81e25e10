"""A clip, a record or parts of a film, read frame by frame for the doctor."""

import functools
import itertools
import os
from typing import Any, NamedTuple

import numpy as np

from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, containers, pixels, videos
from tsm_jax.data.clips.films import parts

ALL = 1 << 30  # a short side that no frame exceeds: as it is
CHUNK = 32  # frames of a record that are in memory at a time


class Film(NamedTuple):
  """Parts of one video.

  Attributes:
    path: of the video, as text.
    segments: a tuple of `segments.Segment`.
    modality: 'rgb' or 'flow'.
  """

  path: str
  segments: tuple[Any, ...]
  modality: str


def merged(clips):
  """Arguments of `examine.facts` for clips; parts of a film become one."""

  def place(numbered):
    number, clip = numbered
    return clip._replace(segments=()) if isinstance(clip, Film) else number

  for _, group in itertools.groupby(enumerate(clips), place):
    some = [clip for _, clip in group]
    if isinstance(some[0], Film):
      segments = tuple(part for clip in some for part in clip.segments)
      some = [some[0]._replace(segments=segments)]
    yield some[0]


def apart(arguments, outcomes):
  """Yields `(facts, reason)` of every clip; a `Film` has several."""
  for argument, (facts, reason) in zip(arguments, outcomes):
    if isinstance(argument, Film):
      count = len(argument.segments)
      yield from ((one, reason) for one in facts or [None] * count)
    else:
      yield facts, reason


def open_clip(clip):
  """`(read, record)`: the reader of a clip, and its record or None.

  Args:
    clip: as in `examine.facts`.
  """
  if isinstance(clip, str):
    return functools.partial(_read, clip), None
  if len(clip) == 2:
    path, modality = clip
    return functools.partial(_read, path, modality=modality), None
  dataset, split, index = clip
  record = _split(dataset, split)[index]
  return functools.partial(_read_record, record), record


@functools.lru_cache
def _split(path, split):
  from tsm_jax.data.store import dataset

  return dataset.open(path).split(split)


def _read(path, keep, modality='rgb'):
  """The `videos.Video` of a clip; `keep` is called with every frame."""
  is_flow = modality == 'flow'
  if not os.path.isdir(path) and not is_flow:
    return videos.read(path, keep)
  # JPEG images are kept as they are; others are encoded almost without loss.
  record, video = codec.to_record(
    path, defaults.Options(ALL, 95), modality=modality
  )
  return _shown(record, video, keep, is_flow)


def _shown(record, video, keep, is_flow):
  """Calls `keep` with every frame of a record; returns its `videos.Video`."""
  for index in range(record['num_frames']):
    if is_flow:
      keep(_picture(record, index))
    else:
      keep(pixels.decode_jpeg(video.frames[index]))
  return video._replace(frames=[None] * record['num_frames'])


def read_parts(film, keeper):
  """As `parts.read`, of a `Film`."""
  is_flow = film.modality == 'flow'
  if not os.path.isdir(film.path) and not is_flow:
    yield from parts.read(film.path, film.segments, keeper)
    return
  options = defaults.Options(ALL, 95)
  found = codec.to_records(film.path, film.segments, options, film.modality)
  for number, result in found:
    if isinstance(result, videos.VideoError):
      yield number, None, result
    else:
      kept = keeper()
      yield number, kept, _shown(*result, kept.add, is_flow)


def _picture(record, index):
  """One flow as a picture: x is red, y is green, and grey means no motion."""
  (flow,) = codec.decode(record, [index], 'flow')
  return np.pad(flow, [(0, 0), (0, 0), (0, 1)], constant_values=128)


def _read_record(record, keep):
  """As `_read`, of a record of a built dataset."""
  stated = int(record['num_frames'])
  # Of flow, each has an image of x and one of y, which may be empty.
  is_flow = stated and len(record['frames']) == 2 * stated
  count = stated if is_flow else len(record['frames'])
  size = record['height'], record['width']
  step = 1 if is_flow else CHUNK
  for start in range(0, count, step):
    where = f'of its record, after {start} frames,'
    try:
      some = np.arange(start, min(start + step, count))
      frames = (
        [_picture(record, start)] if is_flow else codec.decode(record, some)
      )
    except ValueError as error:
      raise videos.VideoError(f'{where} are {error}') from error
    for frame in frames:
      if frame.shape[:2] != size:
        raise videos.VideoError(
          f'{where} one has the size {frame.shape[1::-1]}, not {size[::-1]}'
        )
      keep(frame)
  if not count:
    raise videos.NoFrameError('its record holds no frame')
  claimed = containers.Claims(num_frames=stated)
  return videos.Video([None] * count, 0.0, '', 1.0, claimed=claimed)
