"""Lists of videos, of which nothing but their paths is wanted."""

import json
import pathlib

from tsm_jax import errors
from tsm_jax.data.sources import lists, spelling

SUFFIXES = (*lists.SUFFIXES, '.txt')


def is_list(path):
  """Whether a path is that of a list, by its ending."""
  path = pathlib.Path(path)
  return path.suffix.lower() in SUFFIXES and path.is_file()


def read(path, log):
  """The videos of a list, in its order.

  Args:
    path: of a text file with a path in each line; of a CSV or JSON list as of
      `lists.read`, whose labels and splits do not matter; or of a JSON array of
      paths. Relative paths begin at the folder of the list.
    log: called with a sentence about columns that are ignored.

  Returns:
    A list of paths, as texts.

  Raises:
    InputError: if it is no such list, has no video, or a row is a part of one.
  """
  source = pathlib.Path(path)
  names = _plain(source)
  if names is None:
    notes = []
    items = lists.read(source, notes=notes)
    for note in notes:
      log(note)
    for number, item in enumerate(items, 1):
      if item.segment:
        raise errors.InputError(
          f'Row {number} of {path!r} is a part of a video, and whole videos '
          'are labelled; cut it out, for example by ffmpeg -ss, or watch the '
          'video by --stream.'
        )
    found = [str(item.path) for item in items]
  else:
    for number, name in enumerate(names, 1):
      if not name.strip():  # it would be the folder of the list
        raise errors.InputError(f'Row {number} of {path!r} has no path.')
    found = [str(source.parent / name) for name in names]
  if not found:
    raise errors.InputError(f'{path!r} names no video.')
  return found


def _plain(source):
  """The paths of a list that holds nothing else, or None if it has columns."""
  if source.suffix.lower() == '.csv':
    return None
  text = spelling.read_text(source, f'The list {str(source)!r}')
  if source.suffix.lower() == '.txt':
    return [line for line in text.split('\n') if line.strip()]
  try:
    rows = json.loads(text)
  except (ValueError, RecursionError):  # explained by `lists.read`
    return None
  is_plain = isinstance(rows, list) and all(isinstance(r, str) for r in rows)
  return rows if is_plain else None
