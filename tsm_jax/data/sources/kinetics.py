"""Kinetics-400, 600 and 700: files of videos and the CSV lists of DeepMind."""

import csv
import pathlib

from tsm_jax import errors
from tsm_jax.data.clips import videos
from tsm_jax.data.sources import annotations, class_folders, listings, lists

SPLITS = ('train', 'val', 'test')
# Folder of the files that replace the archive's broken ones.
REPLACEMENT = 'replacement'


def kinetics(root, split):
  """Videos called `{youtube_id}_{start:06d}_{end:06d}`; classes sorted.

  They may be in one folder, in folders of splits, of classes, or of both: they
  are found by name, and their labels are those of the lists.
  """
  del split
  rows = {name: _rows(root, name) for name in SPLITS}
  files = _files(root)
  items, used = [], set()
  for split_name, videos_of_split in rows.items():
    for video, label in videos_of_split:
      path = _choose(files.get(video, ()), split_name)
      used.add(video)
      path = path or root / split_name / f'{video}.mp4'
      items.append(listings.Item(path, video, label, split_name))
  labels = sorted({item.label for item in items if item.split == 'train'})
  notes = []
  if replaced := sum(_is_replacement(item.path, root) for item in items):
    notes.append(f'{replaced} videos are their published replacements')
  if strange := sorted(files.keys() - used):
    some = ', '.join(strange[:5])
    notes.append(f'{len(strange)} videos are in no list and ignored: {some}')
  return annotations.Annotations(items, [la for la in labels if la], notes)


def _rows(root, split):
  """`(name of the file, label)` of every row of the list of a split."""
  path = _list(root, split)
  if path is None:
    return []
  try:
    with open(path, encoding='utf-8-sig', newline='') as file:
      rows = list(csv.DictReader(file))
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
  except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
    reason = str(error)
  raise errors.InputError(f'The list {str(path)!r} cannot be read: {reason}.')


def _list(root, split):
  """The CSV file of a split, or None if that of the test videos is missing."""
  names = [name for name, meaning in lists.SPLITS.items() if meaning == split]
  names.append('validate' if split == 'val' else split)
  found = {
    path
    for place in ('.', 'annotations', 'kinetics*', 'k?00')
    for path in root.glob(f'{place}/*.csv')
    if path.stem.lower().replace('-', '_').rpartition('_')[2] in names
  }
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
  for path in class_folders.walk(root):
    if path.suffix.lower() in videos.SUFFIXES:
      files.setdefault(path.stem, []).append(path)
  return files


def _choose(paths, split):
  """The replacement among equally called files, else that of the split."""

  def rank(path):
    folders = [part.lower() for part in path.parts[:-1]]
    here = any(
      lists.SPLITS.get(part, 'val' if part == 'validate' else '') == split
      for part in folders
    )
    return not any(part.startswith(REPLACEMENT) for part in folders), not here

  return min(paths, key=rank, default=None)


def _is_replacement(path, root):
  return any(
    part.startswith(REPLACEMENT) for part in path.relative_to(root).parts
  )
