"""The list files of the official TSM code: `path num_frames label`."""

import os
import pathlib
import re

from tsm_jax import errors
from tsm_jax.data.sources import listings, spelling
from tsm_jax.data.sources.published import annotations

CATEGORIES = (
  'category.txt',
  'classInd.txt',
  'kinetics_label_map.txt',
  'labels.txt',
)
PLACES = ('.', 'labels', 'annotations', 'file_list', 'splits')


def frame_lists(root, split, modality='rgb'):
  """Folders of extracted frames; classes in the order of the category file.

  The paths are relative to `root` or to one of its sub-folders. Lists that
  end in `_split_K` are read for one K only. Of 'flow', the lists are those with
  that word in their names.
  """
  labels, notes = _labels(root), []
  rows = []
  for kind in ('train', 'val', 'test'):
    path = _list(root, kind, split, modality)
    if path:
      rows += [(*row, kind) for row in _rows(path, len(labels or ()))]
  if labels is None:  # HMDB51's lists come without
    labels = [
      str(i) for i in range(1 + max((row[2] for row in rows), default=0))
    ]
    notes.append(f'there is no {CATEGORIES[0]}: its classes are numbers')
  base, dropped = _base(root, [path for path, *_ in rows])
  if dropped:
    start = '/'.join(pathlib.PurePath(rows[0][0]).parts[:dropped])
    notes.append(f'paths of the lists are found without their start {start!r}')
  # The lists of Something-Something V1 count the files of x and y together.
  files = (
    2 if modality == 'flow' and _are_numbered_apart(base, rows, dropped) else 1
  )
  items = [
    listings.Item(
      _folder(base, path, dropped), path, labels[label], kind, count // files
    )
    for path, count, label, kind in rows
  ]
  return annotations.Annotations(items, labels, notes)


def _are_numbered_apart(base, rows, dropped):
  """Whether flow is called as in Something-Something V1, `{id}-x_{number}`."""
  folders = (_folder(base, path, dropped) for path, *_ in rows)
  folder = next((path for path in folders if path.is_dir()), None)
  return folder is not None and any(
    re.fullmatch(r'\d+-[xy]_\d+\.jpg', name) for name in os.listdir(folder)
  )


def _list(root, kind, split, modality):
  """The list of a split, or None if an optional one is missing."""

  def is_wanted(path):
    words = re.split(r'[_\W]', path.stem.lower())
    numbered = re.search(r'split_?(\d+)$', path.stem)
    is_split = numbered is None or int(numbered[1]) == split
    is_flow = 'flow' in words
    return kind in words and is_flow == (modality == 'flow') and is_split

  found = sorted(
    path
    for place in PLACES
    for path in (root / place).glob('*.txt')
    if is_wanted(path)
  )
  if len(found) == 1:
    return found[0]
  if not found and kind != 'train':
    return None
  some = ', '.join(map(str, found)) or 'none'
  ending = '_flow' if modality == 'flow' else ''
  raise errors.InputError(
    f'--manual_dir is {str(root)!r}, which must hold one {kind} list such as '
    f'{kind}_videofolder{ending}.txt, found: {some}.'
  )


def _labels(root):
  """The class names, or None without a file of them."""
  categories = annotations.find(root, *CATEGORIES, required=False)
  if categories is None:
    return None
  labels = annotations.read_lines(categories)
  numbered = [re.fullmatch(r'(\d+)\s+(\S.*)', label) for label in labels]
  if labels and all(numbered):  # as classInd.txt of UCF101
    pairs = sorted((int(match[1]), match[2]) for match in numbered)
    start = min(pairs[0][0], 1)
    if [i for i, _ in pairs] != list(range(start, start + len(pairs))):
      raise errors.InputError(
        f'The list {str(categories)!r} does not number its classes from 0 or 1 '
        'on, each once.'
      )
    labels = [label for _, label in pairs]
  return labels


def _rows(path, num_labels):
  """`(path, num_frames, label)` of every line; 0 labels: any number."""
  rows = []
  for line in annotations.read_lines(path):
    match = re.fullmatch(r'(.+) (\d+) (\d+)', line)
    if not match or 0 < num_labels <= int(match[3]):
      below = f' below {num_labels}' if num_labels else ''
      raise errors.InputError(
        f'The list {str(path)!r} has the line {line!r}; it must be path, '
        f'number of frames and a label{below}.'
      )
    rows.append((match[1], int(match[2]), int(match[3])))
  return rows


def _base(root, paths):
  """What the paths of a list are relative to.

  Returns:
    `(folder, dropped)`: the folder, and how many leading folders of each path
    are not there. Where some are dropped, every path is found without them.
  """
  folders = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
  for folder in folders:
    if any(_folder(folder, path).is_dir() for path in paths[:100]):
      return folder, 0
  depths = [len(pathlib.PurePath(path).parts) for path in paths]
  for dropped in range(1, min(depths, default=0)):
    for folder in folders:
      if all(_folder(folder, path, dropped).is_dir() for path in paths):
        return folder, dropped
  return root, 0


def _folder(base, path, dropped=0):
  """The folder of a clip; for flow of Something-Something V1 `{id:06d}`."""
  if dropped:
    path = '/'.join(pathlib.PurePath(path).parts[dropped:])
  if path.isdecimal() and not (base / path).is_dir():
    return base / f'{int(path):06d}'
  return spelling.find(base / path)
