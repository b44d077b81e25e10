"""The videos of a folder that has a sub-folder per class."""

import functools
import itertools
import os

from tsm_jax import errors
from tsm_jax.data.clips import images, recognition, videos
from tsm_jax.data.sources import (
  columns,
  listings,
  lists,
  spelling,
  split_folders,
)

WANTED = {
  'rgb': 'files ending in .mp4, .avi, .mkv, .webm or the like, or a folder of '
  'numbered images for each clip',
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
  listed = columns.splits_among(
    {p: p.stem for p in children if p.suffix.lower() in lists.SUFFIXES}
  )
  folders = {} if listed else split_folders.find(children)
  if not listed and not folders:
    return read_classes(source, split='')
  items = []
  if listed:  # they know more than the folders, whose videos they list
    for path, split in listed.items():
      items += lists.read(path, notes=notes, split=split)
  else:
    for path, split in folders.items():
      items += read_classes(path, split=split)
  named = {os.path.abspath(spelling.find(item.path)) for item in items}
  for path in split_folders.walk(source):
    if (
      path.suffix.lower() in videos.SUFFIXES
      and os.path.abspath(path) not in named
      and not split_folders.hidden(path.relative_to(source))
    ):
      where = 'in no list' if listed else f'outside {_names(folders)}'
      notes.append(f'{path.relative_to(source)} was ignored: it is {where}')
  return items


def _names(paths):
  return ', '.join(path.name for path in paths)


def _read_videos(folder, root, split, notes):

  def top(path):
    parts = path.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else ''

  items = []
  for name, paths in itertools.groupby(split_folders.walk(folder), top):
    for path in _clips_of_class(folder, name, list(paths), root, notes):
      video_id = path.relative_to(root).as_posix()
      label = spelling.composed(name)
      items.append(listings.Item(path, video_id, label, split))
  _require_classes(folder, items, WANTED['rgb'])
  notes += split_folders.check_below(folder, items)
  return items


def _clips_of_class(folder, name, paths, root, notes):
  """The videos among files; where there are none, the folders of images."""
  shown = {p for p in paths if not split_folders.hidden(p.relative_to(folder))}
  clips = {p for p in shown if recognition.is_video(p)}
  pictures = set()
  if name and not clips:
    pictures = {
      p
      for p in shown
      if p.suffix.lower() in images.SUFFIXES and p.parent != folder / name
    }
    clips = {p.parent for p in pictures}
  for path in paths:
    called = path.relative_to(root).as_posix()
    if path not in shown:
      if path.suffix.lower() in videos.SUFFIXES:
        notes.append(f'{called} was ignored: it is hidden')
    elif path not in clips and path not in pictures:
      notes.append(f'{called} was ignored: it is no video')
  return sorted(clips)


def _require_classes(folder, items, wanted):
  labels = {item.label for item in items}
  for path in sorted(folder.iterdir()):
    is_class = path.is_dir() and not split_folders.is_hidden(path.name)
    # Clips with names that are not UTF-8 are excluded one by one.
    name = os.fsencode(path.name).decode(errors='replace')
    if is_class and (problem := listings.problem(name)):
      raise errors.InputError(
        f'The class folder {str(path)!r} has a name that {problem}; rename it.'
      )
    if is_class and spelling.composed(path.name) not in labels:
      raise errors.InputError(
        f'The class folder {str(path)!r} holds no video; add {wanted}, or '
        'remove it.'
      )


def _read_flow(folder, root, split):
  """As `_read_videos`: folders that hold images, below those of classes."""
  clips = {}
  for path in split_folders.walk(folder):
    parts = path.relative_to(folder).parts
    is_image = path.suffix.lower() in images.SUFFIXES
    if is_image and not split_folders.hidden(path.relative_to(folder)):
      name = path.parent.relative_to(root).as_posix()
      label = spelling.composed(parts[0]) if len(parts) > 2 else ''
      clips.setdefault(name, listings.Item(path.parent, name, label, split))
  items = list(clips.values())
  _require_classes(folder, items, WANTED['flow'])
  return items
