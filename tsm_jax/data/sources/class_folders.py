"""The videos of a folder that has a sub-folder per class."""

import functools
import os
import pathlib

from tsm_jax import errors
from tsm_jax.data.clips import images, videos
from tsm_jax.data.sources import listings, lists

WANTED = {
  'rgb': f'files ending in {", ".join(videos.SUFFIXES)}',
  'flow': 'folders of the images of x and y of a clip',
}


def read(source, modality, notes):
  """The videos of a folder of classes, or of splits of classes, or of lists.

  Args:
    source: path of the folder.
    modality: 'rgb', or 'flow', where every clip is a folder of images.
    notes: a list; sentences on what was ignored are added to it.

  Returns:
    A list of `listings.Item`; an unknown label or split is ''.

  Raises:
    InputError: if a class is empty or its name is not a plain line of text, a
      folder cannot be read, or a list is not valid.
  """
  if modality == 'flow':
    read_classes = functools.partial(_read_flow, root=source)
  else:
    read_classes = functools.partial(_read_videos, root=source, notes=notes)
  children = sorted(source.iterdir())
  listed = {
    path: lists.SPLITS[path.stem.lower()]
    for path in children
    if path.stem.lower() in lists.SPLITS
    and path.suffix.lower() in lists.SUFFIXES
  }
  folders = {
    path: lists.SPLITS[path.name.lower()]
    for path in children
    if path.name.lower() in lists.SPLITS and path.is_dir()
  }
  if not listed and not folders:
    return read_classes(source, split='')
  items = []
  if listed:  # they know more than the folders, whose videos they list
    for path, split in listed.items():
      items += [item._replace(split=split) for item in lists.read(path)]
  else:
    for path, split in folders.items():
      items += read_classes(path, split=split)
  named = {os.path.abspath(item.path) for item in items}
  for path in walk(source):
    if (
      path.suffix.lower() in videos.SUFFIXES
      and os.path.abspath(path) not in named
      and not _hidden(path.relative_to(source))
    ):
      where = 'in no list' if listed else f'outside {_names(folders)}'
      notes.append(f'{path.relative_to(source)} was ignored: it is {where}')
  return items


def _names(paths):
  return ', '.join(path.name for path in paths)


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


def _hidden(path):
  return any(part.startswith('.') for part in path.parts)


def _read_videos(folder, root, split, notes):
  items = []
  for path in walk(folder):
    inside = path.relative_to(folder)
    name = path.relative_to(root).as_posix()
    is_video = path.suffix.lower() in videos.SUFFIXES
    if _hidden(inside):
      if is_video:
        notes.append(f'{name} was ignored: it is hidden')
    elif not is_video:
      notes.append(f'{name} was ignored: not one of {videos.SUFFIXES}')
    else:
      label = inside.parts[0] if len(inside.parts) > 1 else ''
      items.append(listings.Item(path, name, label, split))
  _require_classes(folder, items, WANTED['rgb'])
  return items


def _require_classes(folder, items, wanted):
  labels = {item.label for item in items}
  for path in sorted(folder.iterdir()):
    is_class = path.is_dir() and not path.name.startswith('.')
    if is_class and (problem := listings.problem(path.name)):
      raise errors.InputError(
        f'The class folder {str(path)!r} has a name that {problem}; rename it.'
      )
    if is_class and path.name not in labels:
      raise errors.InputError(
        f'The class folder {str(path)!r} holds no video; add {wanted}, or '
        'remove it.'
      )


def _read_flow(folder, root, split):
  """As `_read_videos`: folders that hold images, below those of classes."""
  clips = {}
  for path in walk(folder):
    parts = path.relative_to(folder).parts
    is_image = path.suffix.lower() in images.SUFFIXES
    if is_image and not _hidden(path.relative_to(folder)):
      name = path.parent.relative_to(root).as_posix()
      label = parts[0] if len(parts) > 2 else ''
      clips.setdefault(name, listings.Item(path.parent, name, label, split))
  items = list(clips.values())
  _require_classes(folder, items, WANTED['flow'])
  return items
