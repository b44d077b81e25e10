"""Parts of one video on their way from the process that decodes it.

A film may have more parts than fit into memory: they wait in a file.
"""

import contextlib
import itertools
import os
import pickle
from typing import NamedTuple
import uuid

from tsm_jax.data.clips import codec, limits, videos
from tsm_jax.data.sources import segments


class Film(NamedTuple):
  """A video of which some parts are clips."""

  path: str
  segments: tuple[segments.Segment, ...]


class _Spooled(NamedTuple):
  """The parts of a film, in a file of pickled records.

  Attributes:
    path: of the file.
    parts: of each, `(offset, video)`: where its record is, and its
      `videos.Video` without frames; or why there is none.
  """

  path: str
  parts: list


def grouped(items):
  """Lists of items in their order: all parts of a video, or one clip."""

  def place(item):
    return os.fspath(item.path) if item.segment else id(item)

  return (list(group) for _, group in itertools.groupby(items, place))


def arguments(items):
  """What `read` is called with for items, in their order."""
  for group in grouped(items):
    path = os.fspath(group[0].path)
    parts = tuple(item.segment for item in group)
    yield Film(path, parts) if group[0].segment else path


def num_clips(argument):
  """How many clips an argument of `read` stands for."""
  return len(argument.segments) if isinstance(argument, Film) else 1


def limit(items):
  """Seconds that the process that reads one argument may take."""
  parts = any(item.segment for item in items)
  return limits.MAX_FILM_SECONDS if parts else limits.MAX_SECONDS


def read(argument, to_record, options, modality, folder):
  """What `codec.to_record` returns for a path; the parts of a `Film`.

  Args:
    argument: of `arguments`.
    to_record: as `codec.to_record`.
    options: `defaults.Options`.
    modality: 'rgb' or 'flow'.
    folder: path of a folder for what waits; made where there is none.
  """
  if not isinstance(argument, Film):
    return to_record(argument, options=options, modality=modality)
  found = [None] * len(argument.segments)
  results = codec.to_records(*argument, options, modality)
  path = os.path.join(folder, uuid.uuid4().hex)
  try:
    os.makedirs(folder, exist_ok=True)
    with open(path, 'wb') as file:
      for number, result in results:
        if isinstance(result, videos.VideoError):
          found[number] = str(result)
          continue
        record, video = result
        found[number] = file.tell(), video._replace(frames=[], times=[])
        pickle.dump(record, file)
  except OSError as error:  # as a full disk, it is not the fault of the film
    with contextlib.suppress(OSError):
      os.unlink(path)
    raise videos.PassingError(f'{folder!r} took no more: {error}') from error
  return _Spooled(path, found)


def outcomes(arguments, results):
  """Yields `(path, (to_record's result, reason))` of every clip, in order.

  Args:
    arguments: of `read`.
    results: `(result, reason)` of each, see `workers.Workers.outcomes`; no more
      are taken than are needed.
  """
  for argument, (result, reason) in zip(arguments, results):
    if not isinstance(argument, Film):
      yield argument, (result, reason)
    elif result is None:
      for _ in argument.segments:
        yield argument.path, (None, reason)
    else:
      with open(result.path, 'rb') as file:
        for part in result.parts:
          yield argument.path, _load(file, part)
      os.unlink(result.path)


def _load(file, part):
  if isinstance(part, str):
    return None, part
  offset, video = part
  file.seek(offset)
  return (pickle.load(file), video), ''
