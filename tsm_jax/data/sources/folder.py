"""A folder or a list of video files, read as (video, label, split)."""

import functools
import hashlib
import os
import pathlib
import stat
from typing import NamedTuple

from tsm_jax import errors
from tsm_jax.data.clips import videos
from tsm_jax.data.sources import class_folders, lists

# How the reasons read that concern a label.
NO_LABEL = 'has no label'
NOT_IN_MAP = 'which is not in the label map'


class Listing(NamedTuple):
  """What a folder or list holds.

  Attributes:
    items: the usable videos, ordered by name.
    labels: class names, in the order of their indices.
    excluded: `(video_id, reason)` of everything that cannot be used.
    notes: sentences on what is odd but harmless.
    fps: frames per second of the clips that do not state it; 0 if unknown.
    modality: what the clips are, 'rgb' or 'flow'.
  """

  items: list[lists.Item]
  labels: list[str]
  excluded: list[tuple[str, str]]
  notes: list[str]
  fps: float = 0.0
  modality: str = 'rgb'


def scan(
  source,
  labels_file='',
  holdout=0.2,
  seed=0,
  modality='rgb',
  called='data.{}'.format,
):
  """Finds the videos of a folder or list, their labels and splits.

  A folder has one sub-folder per class, or sub-folders or lists called train,
  val, test. A list is a CSV file with a header or a JSON file with an array of
  objects: path (relative to the list), label and, if there are several, split.

  Args:
    source: path of the folder or list.
    labels_file: text file with a class name per line; by default the classes
      are the sorted labels of the training split.
    holdout: about the share of every class that becomes 'val' where no split
      is given, at least one video and never all. `seed` and the name of a video
      decide, so that more videos do not move the others.
    seed: of the hold-out.
    modality: 'rgb', or 'flow', of which every clip is a folder of images, see
      `images.to_record`.
    called: how the user calls 'source', 'labels' and 'holdout'.

  Returns:
    A `Listing`.

  Raises:
    InputError: if there is no such folder, list or labels file, or it holds
      no labelled video, or an empty class.
  """
  if not source:
    raise errors.InputError(
      f'{called("source")} is empty; give a folder of videos, a CSV or JSON '
      'list, or a built dataset.'
    )
  source = pathlib.Path(source).expanduser()
  if not source.exists():
    raise errors.InputError(
      f'{called("source")} is {str(source)!r}, but no such folder or list '
      'exists.'
    )
  if not 0 <= holdout < 1:
    raise errors.InputError(
      f'{called("holdout")} is {holdout!r}; it must be in [0, 1).'
    )
  notes = []
  if source.is_dir():
    items = class_folders.read(source, modality, notes)
  else:
    items = lists.read(source, called('source'))
  items, excluded = _part(items, _Unusable())
  _require(items, source, excluded, modality)
  items.sort(key=lambda item: item.video_id)
  if not any(item.split for item in items):
    items = _hold_out(items, holdout, seed)
  labels = _labels(items, labels_file, source, called('labels'))
  items, unplaced = _part(items, functools.partial(_misplaced, set(labels)))
  excluded = sorted(excluded + unplaced)
  _require(items, source, excluded, modality)
  notes += empty_classes(items, labels)
  return Listing(items, labels, excluded, notes, modality=modality)


def usable(items, labels):
  """Parts items with known splits and labels into usable ones and others.

  Returns:
    `(items, excluded)` as in `Listing`.
  """
  items, excluded = _part(items, _Unusable())
  items, unplaced = _part(items, functools.partial(_misplaced, set(labels)))
  return items, sorted(excluded + unplaced)


def empty_classes(items, labels):
  """A sentence on every class that a split has no video of."""
  present = {(item.label, item.split) for item in items}
  for label in labels:
    for split in sorted({item.split for item in items}):
      if (label, split) not in present:
        yield f'class {label!r} has no video in the split {split!r}'


def _require(items, source, excluded, modality):
  if not items:
    some = '; '.join(f'{name} {why}' for name, why in excluded[:5])
    raise errors.InputError(
      f'{str(source)!r} holds no usable video with a label'
      + (f': {some}' if some else '')
      + '; a folder has one sub-folder per class with '
      f'{class_folders.WANTED[modality]}, a list the columns path and label.'
    )


def _hold_out(items, holdout, seed):
  """Gives every item a split: of each class, a fixed random share is 'val'."""

  def place(item):  # in [0, 1), at random but for ever the same
    digest = hashlib.sha256(f'{seed}:{item.video_id}'.encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64

  classes = {}
  for item in items:
    classes.setdefault(item.label, []).append(item)
  held_out = set()
  for members in classes.values():
    members = sorted(members, key=place)
    count = sum(place(item) < holdout for item in members)
    if holdout and len(members) > 1:
      count = min(max(count, 1), len(members) - 1)
    held_out.update(item.video_id for item in members[:count])
  return [
    item._replace(split='val' if item.video_id in held_out else 'train')
    for item in items
  ]


def read_labels(path, field):
  """The class names of a text file, one per line.

  Raises:
    InputError: if there are none or one comes twice; it names `field`.
  """
  path = pathlib.Path(path).expanduser()
  if not path.exists():
    raise errors.InputError(
      f'{field} is {str(path)!r}, but no such file exists.'
    )
  try:
    lines = path.read_text(encoding='utf-8-sig').splitlines()
  except (OSError, ValueError) as error:
    raise errors.InputError(
      f'{field} is {str(path)!r}, which cannot be read: {error}.'
    ) from error
  labels = [line.strip() for line in lines if line.strip()]
  twice = [label for label in labels if labels.count(label) > 1]
  if twice or not labels:
    what = f'names {twice[0]!r} more than once' if twice else 'names no class'
    raise errors.InputError(f'{field} is {str(path)!r}, which {what}.')
  return labels


def _labels(items, labels_file, source, field):
  if labels_file:
    return read_labels(labels_file, field)
  labels = sorted({i.label for i in items if i.split == 'train' and i.label})
  if not labels:
    raise errors.InputError(
      f'{str(source)!r} holds no labelled training video, so that its classes '
      f'are unknown; add some, or give {field}.'
    )
  return labels


def _part(items, reason_against):
  """Parts items into usable ones and `(name, reason)` of the others."""
  usable, excluded = [], []
  for item in items:
    reason = reason_against(item)
    if reason:
      name = item.video_id.encode(errors='backslashreplace').decode()
      excluded.append((name, reason))
    else:
      usable.append(item)
  return usable, excluded


class _Unusable:
  """Why an item cannot be used whatever the labels and splits are, or ''."""

  def __init__(self):
    self._seen = set()

  def __call__(self, item):
    path = os.path.normpath(item.path)
    if path in self._seen:
      return 'is listed more than once; the first row counts'
    self._seen.add(path)
    if not item.label:
      return NO_LABEL
    try:
      item.video_id.encode()
      mode = os.stat(path).st_mode
    except UnicodeEncodeError:
      return 'has a name that is not UTF-8'
    except FileNotFoundError:
      return 'file does not exist'
    except OSError as error:
      return f'file cannot be read: {error.strerror}'
    # A folder can be a clip, of images; one called as a video is a mistake.
    is_video = os.path.splitext(path)[1].lower() in videos.SUFFIXES
    if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not is_video):
      return ''
    return 'is not a file'


def _misplaced(labels, item):
  if not item.split:
    return 'has no split, although others have one'
  if item.label not in labels:
    return f'has the label {item.label!r}, {NOT_IN_MAP}'
  return ''
