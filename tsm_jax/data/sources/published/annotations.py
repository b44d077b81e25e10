"""What the readers of published datasets share: finding and reading lists."""

import json
import os
from typing import NamedTuple

from tsm_jax import errors
from tsm_jax.data.clips import videos
from tsm_jax.data.sources import listings, spelling


class Annotations(NamedTuple):
  """What the lists of a dataset say, before any video is looked at.

  Attributes:
    items: all videos listed; an unlabelled one has the label ''.
    labels: class names in the official order.
    notes: sentences on what is odd.
    fps: frames per second of clips that are folders of images, 0 if unknown.
  """

  items: list[listings.Item]
  labels: list[str]
  notes: list[str]
  fps: float = 0.0


def find(root, *names, required=True):
  """The first of several files or folders that exists.

  Args:
    root: folder to search, with its sub-folders 'labels' and 'annotations'.
    *names: relative paths, the preferred one first.
    required: whether to raise InputError where none exists; else it is None.
  """
  for name in names:
    for folder in (root, root / 'labels', root / 'annotations'):
      if (folder / name).exists():
        return folder / name
  if not required:
    return None
  choices = ' or '.join(dict.fromkeys(names))
  raise errors.InputError(
    f'--manual_dir is {str(root)!r}, which holds no {choices}, neither itself '
    "nor in 'labels' or 'annotations'."
  )


def videos_in(folder, usual):
  """The videos right in a folder, as a mapping from name to path.

  Args:
    folder: its path; there need not be such a folder.
    usual: the ending that comes first if several files have a name.
  """
  found = {}
  try:
    names = sorted(os.listdir(folder))
  except OSError:
    return found
  for name in names:
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in videos.SUFFIXES or name.startswith('.'):
      continue
    if suffix == usual or stem not in found:
      found[stem] = folder / name
  return found


def read_lines(path):
  """The lines of a text file that are not empty, without blanks around."""
  text = spelling.read_text(path, f'The list {str(path)!r}')
  return [line.strip() for line in text.split('\n') if line.strip()]


def read_json(path, kind):
  """The content of a JSON file, which must be of the type `kind`."""
  text = spelling.read_text(path, f'The list {str(path)!r}')
  try:
    content = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise errors.InputError(
      f'The list {str(path)!r} cannot be read: {error}.'
    ) from error
  if not isinstance(content, kind):
    raise errors.InputError(
      f'The list {str(path)!r} holds a {type(content).__name__}, where a '
      f'{kind.__name__} is expected.'
    )
  return content


def column(rows, name, path):
  """The values of one field in rows that are dicts, as text."""
  try:
    return [str(row[name]).strip() for row in rows]
  except (KeyError, TypeError):
    raise errors.InputError(
      f'The list {str(path)!r} has a row without {name!r}.'
    ) from None
