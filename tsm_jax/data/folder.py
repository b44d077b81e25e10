"""A folder or a list of video files, read as (video, label, split)."""

import csv
import hashlib
import json
import pathlib
from typing import NamedTuple

from tsm_jax import errors
from tsm_jax.data import videos

# What people call their splits, and what they are called here.
SPLITS = {
  'train': 'train',
  'training': 'train',
  'val': 'val',
  'valid': 'val',
  'validation': 'val',
  'test': 'test',
}


class Item(NamedTuple):
  """One video: its file, unique name, class name and split."""

  path: pathlib.Path
  video_id: str
  label: str
  split: str


class Listing(NamedTuple):
  """What a folder or list holds.

  Attributes:
    items: the usable videos, ordered by name.
    labels: class names, in the order of their indices.
    excluded: `(video_id, reason)` of everything that cannot be used.
    notes: sentences on what is odd but harmless.
  """

  items: list[Item]
  labels: list[str]
  excluded: list[tuple[str, str]]
  notes: list[str]


def scan(source, labels_file='', holdout=0.2, seed=0):
  """Finds the videos of a folder or list, their labels and splits.

  A folder has one sub-folder per class, or sub-folders or lists called train,
  val, test. A list is a CSV file with a header or a JSON file with an array of
  objects: path (relative to the list), label and, if there are several, split.

  Args:
    source: path of the folder or list.
    labels_file: text file with a class name per line; by default the classes
      are the sorted labels of the training split.
    holdout: the share of every class that becomes 'val' where no split is
      given, chosen by `seed` and the video's name, so that more videos do not
      move the others.
    seed: of the hold-out.

  Returns:
    A `Listing`.

  Raises:
    InputError: if there is no such folder, list or labels file, or it holds
      no labelled video, or an empty class.
  """
  source = pathlib.Path(source).expanduser()
  if not source.exists():
    raise errors.InputError(
      f'data.source is {str(source)!r}, but no such folder or list exists.'
    )
  if not 0 <= holdout < 1:
    raise errors.InputError(
      f'data.holdout is {holdout!r}; it must be in [0, 1).'
    )
  notes = []
  is_folder = source.is_dir()
  items = _read_folder(source, notes) if is_folder else _read_list(source)
  if not any(item.split for item in items):
    items = _hold_out(items, holdout, seed)
  labels = _labels(items, labels_file, source)
  items, excluded = _check(items, labels)
  if not items:
    listed = '; '.join(f'{name} {why}' for name, why in excluded[:5])
    raise errors.InputError(
      f'{str(source)!r} holds no usable video with a label'
      + (f': {listed}.' if listed else '.')
    )
  for label in labels:
    for split in dict.fromkeys(item.split for item in items):
      if not any(i.label == label and i.split == split for i in items):
        notes.append(f'class {label!r} has no video in the split {split!r}')
  return Listing(items, labels, excluded, notes)


def _read_folder(source, notes):
  """The videos of a folder of classes, or of splits of classes, or of lists."""
  splits = {
    path: SPLITS[path.stem.lower()]
    for path in sorted(source.iterdir())
    if path.stem.lower() in SPLITS
    and (path.is_dir() or path.suffix in ('.csv', '.json'))
  }
  if not splits:
    return _read_classes(source, source, '', notes)
  items = []
  for path, split in splits.items():
    if path.is_dir():
      items += _read_classes(path, source, split, notes)
    else:
      items += [item._replace(split=split) for item in _read_list(path)]
  return items


def _read_classes(folder, root, split, notes):
  items = []
  for path in sorted(folder.rglob('*')):
    inside = path.relative_to(folder).parts
    if path.is_dir() or any(part.startswith('.') for part in inside):
      continue
    name = path.relative_to(root).as_posix()
    if path.suffix.lower() not in videos.SUFFIXES:
      notes.append(f'{name} was ignored: not one of {videos.SUFFIXES}')
      continue
    label = inside[0] if len(inside) > 1 else ''
    items.append(Item(path, name, label, split))
  for path in sorted(folder.iterdir()):
    if not path.is_dir() or path.name.startswith('.'):
      continue
    if not any(item.label == path.name for item in items):
      raise errors.InputError(
        f'The class folder {str(path)!r} holds no video; add files ending in '
        f'{", ".join(videos.SUFFIXES)}, or remove it.'
      )
  return items


def _read_list(source):
  """The rows of a CSV or JSON list."""
  if source.suffix.lower() == '.json':
    rows = json.loads(source.read_text(encoding='utf-8'))
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
      raise errors.InputError(
        f'{str(source)!r} must hold an array of objects with path and label.'
      )
  else:
    with open(source, encoding='utf-8-sig', newline='') as file:
      rows = list(csv.DictReader(file))
  items = []
  for number, row in enumerate(rows, 1):
    if not row.get('path'):
      columns = ', '.join(str(key) for key in row)
      raise errors.InputError(
        f'Row {number} of {str(source)!r} has no path; the columns are path, '
        f'label and optionally split, found: {columns}.'
      )
    split = str(row.get('split') or '').strip()
    if split and split.lower() not in SPLITS:
      raise errors.InputError(
        f'Row {number} of {str(source)!r} has the split {split!r}; choose '
        f'from {", ".join(SPLITS)}.'
      )
    label = row.get('label')
    items.append(
      Item(
        path=source.parent / row['path'],
        video_id=str(row['path']),
        label='' if label is None else str(label).strip(),
        split=SPLITS.get(split.lower(), ''),
      )
    )
  return items


def _hold_out(items, holdout, seed):
  """Gives every item a split: of each class, a fixed random share is 'val'."""

  def order(item):
    return hashlib.sha256(f'{seed}:{item.video_id}'.encode()).digest()

  held_out = set()
  for label in {item.label for item in items}:
    names = sorted((i for i in items if i.label == label), key=order)
    count = round(len(names) * holdout)
    if holdout and len(names) > 1:
      count = min(max(count, 1), len(names) - 1)
    held_out.update(item.video_id for item in names[:count])
  return [
    item._replace(split='val' if item.video_id in held_out else 'train')
    for item in items
  ]


def _labels(items, labels_file, source):
  if labels_file:
    path = pathlib.Path(labels_file).expanduser()
    if not path.exists():
      raise errors.InputError(
        f'data.labels is {str(path)!r}, but no such file exists.'
      )
    lines = path.read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip()]
  labels = sorted({i.label for i in items if i.split == 'train' and i.label})
  if not labels:
    raise errors.InputError(
      f'{str(source)!r} holds no labelled training video: put the files '
      f'(ending in {", ".join(videos.SUFFIXES)}) into one sub-folder per class.'
    )
  return labels


def _check(items, labels):
  """Parts the items into usable ones and `(name, reason)` of the others."""
  usable, excluded, seen = [], [], set()
  for item in sorted(items, key=lambda item: item.video_id):
    reason = ''
    if not item.label:
      reason = 'has no label'
    elif item.label not in labels:
      reason = f'has the label {item.label!r}, which is not in the label map'
    elif not item.split:
      reason = 'has no split, although others have one'
    elif item.video_id in seen:
      reason = 'is listed more than once; the first row counts'
    elif not item.path.exists():
      reason = 'file does not exist'
    seen.add(item.video_id)
    if reason:
      excluded.append((item.video_id, reason))
    else:
      usable.append(item)
  return usable, excluded
