"""Files in which people mark parts of videos, read as clips."""

import functools
import json
import os
import pathlib

from tsm_jax import errors
from tsm_jax.data.clips import videos
from tsm_jax.data.sources import (
  columns,
  listings,
  lists,
  segments,
  spelling,
  split_folders,
)
from tsm_jax.data.sources.recordings import (
  activitynet,
  annotations,
  checks,
  elan,
  via,
)

_TABLES = ('.tsv', '.txt')


def reader(source):
  """What reads a source as `(source, notes) -> annotations`, or None.

  Args:
    source: path of a file, or of a folder of .eaf files; CSV and JSON files are
      looked into.
  """
  suffix = source.suffix.lower()
  if source.is_dir():
    return _read_folder if _eaf_files(source) else None
  if suffix == '.eaf':
    return elan.read_xml
  if suffix in _TABLES:
    return elan.read_table
  if suffix not in lists.SUFFIXES:
    return None
  text = spelling.read_text(source, f'The list {str(source)!r}')
  if suffix == '.csv':
    return (
      functools.partial(_of, via.read_csv, text) if via.is_csv(text) else None
    )
  if not text.lstrip().startswith('{'):
    return None
  try:
    content = json.loads(text)
  except (ValueError, RecursionError):
    return None  # whoever reads it as a list says why
  for is_mine, read_content in (
    (activitynet.is_database, activitynet.read),
    (via.is_project, via.read_project),
  ):
    if is_mine(content):
      return functools.partial(_of, read_content, content)
  return None


def _of(read_content, content, source, notes):
  return read_content(content, notes)


def _eaf_files(folder):
  """`(path, split)` of the .eaf files of a folder, or of its splits.

  Beside them may be one folder, of the videos. Where there are more, they are
  classes.
  """
  files, inside = _content(folder)
  if files and len(inside) < 2:
    return [(path, '') for path in files]
  splits = columns.splits_among({path: path.name for path in inside})
  if files or set(splits) != set(inside):
    return []
  found = []
  for child, split in splits.items():
    files, inside = _content(child)
    if len(inside) < 2:
      found += [(path, split) for path in files]
  return found


def _content(folder):
  """`(files, folders)`: the .eaf files right in a folder, and its folders."""
  children = [path for path in sorted(folder.iterdir()) if path.name[0] != '.']
  files = [path for path in children if path.suffix.lower() == '.eaf']
  return files, [path for path in children if path.is_dir()]


def _read_folder(source, notes):
  return [
    annotation._replace(
      split=split,
      # Beside its own file, before others are thought of.
      video=os.path.join(path.parent.relative_to(source), annotation.video),
    )
    for path, split in _eaf_files(source)
    for annotation in elan.read_xml(path, notes)
  ]


def read(source, read_annotations, notes):
  """The parts of videos that a file marks, as items.

  A video is looked for where the file says, relative to it, and then by its
  name, with any ending of a video, in the folder of the file and below.

  Args:
    source: path of the file, or of a folder of files.
    read_annotations: from `reader`.
    notes: a list; sentences on what is odd are added to it.

  Returns:
    A list of `listings.Item`.

  Raises:
    InputError: if the file is not what it seems to be, or holds no annotation.
  """
  try:
    found = read_annotations(source, notes)
  except annotations.Problem as problem:
    raise errors.InputError(f'{str(source)!r} {problem}.') from None
  good = [one for one in found if max(one.start, 0) < one.end]
  if len(good) < len(found):
    bad = next(one for one in found if max(one.start, 0) >= one.end)
    notes.append(
      f'{len(found) - len(good)} annotations of {source.name} end before they '
      f'begin and are not used, for example of {bad.video!r}: {bad.start:g} to '
      f'{bad.end:g} s'
    )
  if not good:
    raise errors.InputError(f'{str(source)!r} holds no annotation with times.')
  find = _Finder(source if source.is_dir() else source.parent)
  items = [_item(one, find, source) for one in good]
  notes += _overlaps(items, source)
  return items


def _item(annotation, find, source):
  def fail(what):
    raise errors.InputError(
      f'{str(source)!r} has, of the video {annotation.video!r} at '
      f'{annotation.start:g} s, {what}.'
    )

  if '\0' in annotation.video:
    fail('a name with a NUL character')
  path, name = find(annotation.video)
  segment = segments.Segment(
    max(round(annotation.start, 6), 0.0), round(annotation.end, 6)
  )
  return listings.Item(
    path=path,
    video_id=f'{name}@{segment}',
    label=lists.label(annotation.label, fail),
    split=annotation.split,
    segment=segment,
  )


def _overlaps(items, source):
  found = [
    pair
    for some in checks.by_video(items).values()
    for pair in checks.overlapping(some)
  ]
  if not found:
    return []
  one, other = found[0]
  return [
    f'{len(found)} annotations of {source.name} overlap some of other labels; '
    f'each is used, for example {one.video_id!r} ({one.label!r}) and '
    f'{other.video_id!r} ({other.label!r})'
  ]


class _Finder:
  """Finds videos by what a file calls them."""

  def __init__(self, root):
    self._root = root
    self._known = {}

  @functools.cached_property
  def _stems(self):
    """A dict from names without endings to the paths below the folder."""
    found = {}
    for path in split_folders.walk(self._root):
      inside = path.relative_to(self._root)
      is_video = path.suffix.lower() in videos.SUFFIXES
      if is_video and not split_folders.hidden(inside):
        found.setdefault(spelling.composed(path.stem), []).append(path)
    return found

  def __call__(self, video):
    """`(path, name)` of a video; the path need not exist."""
    if video not in self._known:
      path = self._path(video.replace('\\', '/'))
      relative = pathlib.Path(os.path.relpath(path, self._root))
      self._known[video] = path, relative.as_posix()
    return self._known[video]

  def _path(self, video):
    there = spelling.find(self._root / video)
    if there.is_file():
      return there
    name = spelling.composed(pathlib.PurePosixPath(video).name)
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in videos.SUFFIXES:
      stem, suffix = name, ''
    for called in (stem, f'v_{stem}'):  # as ActivityNet calls its files
      found = self._stems.get(called, ())
      same = [p for p in found if p.suffix.lower() == suffix.lower()]
      if found:
        return min(same or found, key=lambda p: self._distance(p, there))
    return there if suffix else self._root / f'{stem}.mp4'

  @staticmethod
  def _distance(path, there):
    return path.parent != there.parent, len(path.parts), path
