"""Kinetics-400, 600 and 700: files of videos and the CSV lists of DeepMind."""

import collections
import csv
import io
import pathlib
import re

from tsm_jax import errors
from tsm_jax.data.clips import videos
from tsm_jax.data.sources import (
  columns,
  listings,
  lists,
  spelling,
  split_folders,
)
from tsm_jax.data.sources.published import annotations

SPLITS = ('train', 'val', 'test')
# Folder of the files that replace the archive's broken ones.
REPLACEMENT = 'replacement'


def kinetics(root, split):
  """Videos called `{youtube_id}_{start:06d}_{end:06d}`; classes sorted.

  Times may be unpadded or missing, where a video is in the lists only once.
  They may be in one folder, in folders of splits, of classes, or of both: they
  are found by name, and their labels are those of the lists.
  """
  del split
  rows = {name: _rows(root, name) for name in SPLITS}
  files = _files(root)
  items, used = [], set()
  called = _FileNames(files, rows)
  for split_name, videos_of_split in rows.items():
    for video, label in videos_of_split:
      name = called.find(video)
      path = _choose(files.get(name, ()), split_name)
      used.add(name)
      path = path or root / split_name / f'{video}.mp4'
      items.append(listings.Item(path, video, label, split_name))
  labels = listings.in_order(
    {i.label for i in items if i.split == 'train' and i.label}
  )
  notes = called.notes()
  if replaced := sum(_is_replacement(item.path, root) for item in items):
    notes.append(f'{replaced} videos are their published replacements')
  if strange := sorted(files.keys() - used):
    some = ', '.join(strange[:5])
    notes.append(f'{len(strange)} videos are in no list and ignored: {some}')
  return annotations.Annotations(items, labels, notes)


class _FileNames:
  """Finds the names that files have for the clips of the lists."""

  def __init__(self, files, rows):
    self._files = files
    self._padded = {}  # names with times as numbers, in their usual form
    for name in sorted(files):
      match = re.fullmatch(r'(.+)_(\d+)(?:\.0+)?_(\d+)(?:\.0+)?', name)
      if match:
        usual = f'{match[1]}_{int(match[2]):06d}_{int(match[3]):06d}'
        self._padded.setdefault(usual, name)
    clips = {video for some in rows.values() for video, _ in some}
    self._clips_of_id = collections.Counter(map(_id, clips))
    self._untimed = 0

  def find(self, video):
    """The name of the file of a clip, or its usual name if there is none."""
    if video in self._files:
      return video
    if video in self._padded:
      return self._padded[video]
    name = _id(video)
    if name in self._files and self._clips_of_id[name] == 1:
      self._untimed += 1
      return name
    return video

  def notes(self):
    if not self._untimed:
      return []
    return [
      f'{self._untimed} videos have no times in their names: they are taken to '
      'be the clips, already cut'
    ]


def _id(video):
  return video.rsplit('_', 2)[0]


def _rows(root, split):
  """`(name of the file, label)` of every row of the list of a split."""
  path = _list(root, split)
  if path is None:
    return []
  text = spelling.read_text(path, f'The list {str(path)!r}')
  try:
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    number = next((i for i, row in enumerate(rows, 1) if row.get(None)), 0)
    if number:
      raise ValueError(
        f'row {number} has more fields than columns; put a label that holds a '
        'comma in double quotes'
      )
    return [
      (
        f'{row["youtube_id"].strip()}_{int(float(row["time_start"])):06d}_'
        f'{int(float(row["time_end"])):06d}',
        (row.get('label') or '').strip(),
      )
      for row in rows
    ]
  except KeyError as error:
    reason = f'there is no column {error}'
  except (ValueError, TypeError, AttributeError, csv.Error) as error:
    reason = str(error)
  raise errors.InputError(f'The list {str(path)!r} cannot be read: {reason}.')


def _list(root, split):
  """The CSV file of a split, or None if that of the test videos is missing."""
  words = {
    path: path.stem.lower().replace('-', '_').rpartition('_')[2]
    for place in ('.', 'annotations', 'kinetics*', 'k?00')
    for path in root.glob(f'{place}/*.csv')
  }
  found = {p for p, s in columns.splits_among(words).items() if s == split}
  if len(found) > 1 or (not found and split != 'test'):
    some = ', '.join(sorted(map(str, found))) or 'none'
    raise errors.InputError(
      f'--manual_dir is {str(root)!r}, which must hold one {split}.csv (also '
      f"in 'annotations'), found: {some}; folders of classes without a list "
      "are read as NAME 'folder'."
    )
  return found.pop() if found else None


def _files(root):
  """All videos below `root`, as a mapping from name to paths."""
  files: dict[str, list[pathlib.Path]] = {}
  for path in split_folders.walk(root):
    if path.suffix.lower() in videos.SUFFIXES:
      files.setdefault(path.stem, []).append(path)
  return files


def _choose(paths, split):
  """The replacement among equally called files, else that of the split."""

  def rank(path):
    folders = [part.lower() for part in path.parts[:-1]]
    here = any(lists.SPLITS.get(part) == split for part in folders)
    return not any(part.startswith(REPLACEMENT) for part in folders), not here

  return min(paths, key=rank, default=None)


def _is_replacement(path, root):
  return any(
    part.startswith(REPLACEMENT) for part in path.relative_to(root).parts
  )
