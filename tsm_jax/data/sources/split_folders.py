"""Folders of splits, which may lie above those of the classes."""

import os
import pathlib

from tsm_jax import errors
from tsm_jax.data.clips import images, videos
from tsm_jax.data.sources import columns


def find(children):
  """The folders that are splits, as `{path: split}`.

  What is called `train` is a class and no split if clips lie right in it, and
  there are other classes.

  Args:
    children: paths of what a folder holds.

  Raises:
    InputError: if a folder may be a split or a class.
  """
  folders = [p for p in children if p.is_dir() and not p.name.startswith('.')]
  splits = {
    path: columns.SPLITS[path.name.lower()]
    for path in folders
    if path.name.lower() in columns.SPLITS
  }
  if not splits:
    return {}
  others = [p for p in folders if p not in splits and _depth(p)]
  if not others:
    return splits
  if 'train' not in splits.values() or all(_depth(p) == 1 for p in splits):
    return {}
  if len(set(splits.values())) == 1:
    split = next(iter(splits))
    listed = ', '.join(repr(path.name) for path in others[:5])
    raise errors.InputError(
      f'{str(split)!r} may be a split or, as {listed} beside it, a class; '
      'rename it if it is a class, else move the others away.'
    )
  return splits


def _depth(folder):
  """How many levels below a folder its first clip lies, or 0 without one."""
  for path in walk(folder):
    inside, suffix = path.relative_to(folder), path.suffix.lower()
    if not hidden(inside):
      if suffix in videos.SUFFIXES:
        return len(inside.parts)
      if suffix in images.SUFFIXES and len(inside.parts) > 1:
        return len(inside.parts) - 1
  return 0


def _refuse(error):
  raise errors.InputError(
    f'The folder {error.filename!r} cannot be read: {error.strerror}.'
  )


def walk(folder, fail=_refuse):
  """All files below a folder in order; links to folders are followed.

  Args:
    folder: a path.
    fail: called with the OSError of a folder that cannot be read.
  """
  seen = set()
  for root, names, files in os.walk(folder, onerror=fail, followlinks=True):
    names.sort()
    if os.path.realpath(root) in seen:  # links in a circle
      names.clear()
      continue
    seen.add(os.path.realpath(root))
    yield from (pathlib.Path(root) / name for name in sorted(files))


def hidden(path):
  """Whether a relative path holds a name that starts with a dot."""
  return any(part.startswith('.') for part in path.parts)
