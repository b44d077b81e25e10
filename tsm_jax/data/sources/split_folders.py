"""Folders of splits, which may lie above those of the classes."""

import os
import pathlib
import re

from tsm_jax import errors
from tsm_jax.data.clips import images, videos
from tsm_jax.data.sources import columns

# What systems put beside folders: archives of macOS, disks of a network.
_BESIDE = ('__MACOSX', '@eaDir', '$RECYCLE.BIN', 'System Volume Information')


def find(children):
  """The folders that are splits, as `{path: split}`.

  What is called `train` is a class and no split if clips lie right in it, and
  there are other classes.

  Args:
    children: paths of what a folder holds.

  Raises:
    InputError: if a folder may be a split or a class, or all seem to be splits
      of other names.
  """
  folders = [p for p in children if p.is_dir() and not is_hidden(p.name)]
  splits = columns.splits_among({path: path.name for path in folders})
  if not splits:
    _check_names(folders)
    return {}
  others = [p for p in folders if p not in splits and _depth(p)]
  if not others:
    return splits
  flat = all(_depth(path) == 1 for path in splits)
  several = len(set(splits.values())) > 1
  if 'train' in splits.values() and several and not flat:
    return splits
  if not several and (flat or 'train' not in splits.values()):
    return {}
  listed = [_listed(splits), _listed(others[:5])]
  raise errors.InputError(
    f'{str(children[0].parent)!r} holds {listed[0]}, called as splits, beside '
    f'{listed[1]}: rename them if they are classes, else move the others away.'
  )


def _check_names(folders):
  """Raises InputError if all folders are called nearly as splits."""
  found = {}
  for path in folders:
    words = re.split('[^a-z]+', path.name.lower())
    meant = {columns.SPLITS[word] for word in words if word in columns.SPLITS}
    found[path] = meant.pop() if len(meant) == 1 else ''
  splits = set(found.values())
  if '' in splits or not {'train'} < splits:
    return
  if all(_depth(path) > 1 for path in folders):
    path = folders[0]
    raise errors.InputError(
      f'The folders {_listed(folders[:5])} in {str(path.parent)!r} seem to be '
      f'splits; rename {path.name!r} to {found[path]!r}, and so on.'
    )


def _listed(paths):
  return ', '.join(repr(path.name) for path in paths)


def check_below(folder, items):
  """What is said if folders of splits lie below those of the classes.

  Args:
    folder: of the classes.
    items: `listings.Item`s of it.

  Returns:
    A list of a sentence, or none.

  Raises:
    InputError: if there is one such class, which is none.
  """
  found = {}
  for item in items:
    name, _, rest = item.path.relative_to(folder).as_posix().partition('/')
    split = columns.SPLITS.get(rest.partition('/')[0].lower())
    if split and '/' in rest:
      found.setdefault(name, set()).add(split)
  classes = [name for name in found if {'train'} < found[name]]
  if not classes:
    return []
  if len({item.label for item in items}) == 1:
    raise errors.InputError(
      f'{str(folder)!r} holds one class, {classes[0]!r}, and it holds splits; '
      f'give {str(folder / classes[0])!r} if its splits hold the classes.'
    )
  return [
    f'the folders of splits below {len(classes)} classes, as {classes[0]!r}, '
    'are taken for one; only those above the classes count'
  ]


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
  """Whether a relative path holds a name that `is_hidden`."""
  return any(map(is_hidden, path.parts))


def is_hidden(name):
  """Whether a file or folder has a name that starts with a dot, or as it."""
  return name.startswith('.') or name in _BESIDE
