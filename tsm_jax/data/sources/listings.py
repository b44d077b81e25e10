"""What a folder, a list or a published dataset holds: clips and classes."""

from collections.abc import Sequence
import os
import pathlib
import re
import stat
from typing import NamedTuple
import unicodedata

from tsm_jax.data.sources import segments, spelling

# Reasons, here and below, are part of the name of a dataset: they never change.
NO_LABEL = 'has no label'
NOT_IN_MAP = 'which is not in the label map'
# A folder is a clip of images, but called as here it is a mistake.
_VIDEOS = ('.avi', '.mkv', '.mov', '.mp4', '.webm')


class Item(NamedTuple):
  """One clip.

  Attributes:
    path: of the video file, or of a folder of images.
    video_id: its unique name.
    label: class name; of several ones, `label_sets.joined`.
    split: 'train', 'val' or 'test', or as of `splitting.folds`.
    num_frames: as its list states, or 0.
    segment: the part of the file that it is, or None if it is all of it.
    group: what it belongs to, such as a person, or '' if that is unknown.
    labels: class names, where a clip may have several; else ().
  """

  path: pathlib.Path
  video_id: str
  label: str
  split: str
  num_frames: int = 0
  segment: segments.Segment | None = None
  group: str = ''
  labels: tuple[str, ...] = ()

  @property
  def classes(self):
    """The names of its classes, mostly one."""
    return self.labels or (self.label,)


class Listing(NamedTuple):
  """What a folder or list holds.

  Attributes:
    items: the usable videos, ordered by name.
    labels: class names, in the order of their indices.
    excluded: `(video_id, reason)` of everything that cannot be used.
    notes: sentences on what is odd but harmless.
    fps: frames per second of the clips that do not state it; 0 if unknown.
    modality: what the clips are, 'rgb' or 'flow'.
    listed: all that was read, also what is excluded.
    multi_label: whether a clip may have several labels.
  """

  items: list[Item]
  labels: list[str]
  excluded: list[tuple[str, str]]
  notes: list[str]
  fps: float = 0.0
  modality: str = 'rgb'
  listed: Sequence[Item] = ()
  multi_label: bool = False


def problem(label):
  """Why a text cannot be the name of a class, or ''.

  A name is one line of a text file: TFDS and other programs store names so.
  """
  if not label.strip():
    return 'is blank'
  if label != label.strip():
    return 'has blanks around it'
  # Among them are all at which Python ends a line.
  if any(unicodedata.category(c) in ('Cc', 'Zl', 'Zp') for c in label):
    return 'holds a line break or another control character'
  if any(unicodedata.category(c) == 'Cs' for c in label):
    return 'holds half a character (a lone surrogate)'
  return ''


def in_order(labels):
  """A sorted list of class names: as integers if all of them are."""
  labels = sorted(labels)
  if all(re.fullmatch('-?[0-9]+', label) for label in labels):
    return sorted(labels, key=int)
  return labels


def shown(labels):
  """The order of classes, for the user: the first ones and the last.

  >>> shown(['hop', 'jump', 'run', 'sit', 'walk'])
  "0 'hop', 1 'jump', 2 'run', ..., 4 'walk'"
  """
  listed = [f'{i} {label!r}' for i, label in enumerate(labels)]
  if len(listed) > 4:
    listed = [*listed[:3], '...', listed[-1]]
  return ', '.join(listed)


def usable(items, labels):
  """Parts items with known splits and labels into usable ones and others.

  Returns:
    `(items, excluded)` as in `Listing`.
  """
  items, excluded = readable(items)
  items, unplaced = placed(items, labels)
  return items, sorted(excluded + unplaced)


def empty_classes(items, labels):
  """A sentence on every class that a split has no video of."""
  present = {(name, i.split) for i in items for name in i.classes}
  splits = sorted({item.split for item in items})
  for label in labels:
    for split in splits:
      if (label, split) not in present:
        yield f'class {label!r} has no video in the split {split!r}'


def readable(items):
  """Parts items into those that can be read, each once, and the others.

  Returns:
    `(items, excluded)` as in `Listing`.
  """
  found = (item._replace(path=spelling.find(item.path)) for item in items)
  return _part(found, _Unreadable())


def placed(items, labels):
  """Parts items into those of known splits and labels, and the others.

  Returns:
    `(items, excluded)` as in `Listing`.
  """
  known = set(labels)
  return _part(items, lambda item: _misplaced(known, item))


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


class _Unreadable:
  """Why an item cannot be used whatever the labels and splits are, or ''."""

  def __init__(self):
    self._seen = set()

  def __call__(self, item):
    path = os.path.normpath(item.path)
    if (path, item.segment) in self._seen:
      return 'is listed more than once; the first row counts'
    self._seen.add((path, item.segment))
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
    is_video = os.path.splitext(path)[1].lower() in _VIDEOS
    if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not is_video):
      return ''
    return 'is not a file'


def _misplaced(labels, item):
  if not item.split:
    return 'has no split, although others have one'
  for label in item.classes:
    if label not in labels:
      return f'has the label {label!r}, {NOT_IN_MAP}'
  return ''
