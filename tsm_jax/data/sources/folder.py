"""A folder or a list of video files, read as (video, label, split)."""

import pathlib

from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.sources import (
  class_folders,
  label_files,
  label_sets,
  listings,
  lists,
  segments,
  spelling,
  splitting,
)
from tsm_jax.data.sources.recordings import checks, reading
from tsm_jax.data.sources.splitting import folds


def scan(
  source,
  labels_file='',
  modality='rgb',
  called='data.{}'.format,
  multi_label=False,
  **splits,
):
  """Finds the videos of a folder or list, their labels and splits.

  A folder has one sub-folder per class, or sub-folders or lists called train,
  val, test. A list is a CSV file with a header or a JSON file with an array of
  objects: path (relative to the list), label and, if there are several, split;
  also group, which names what a clip belongs to, such as a person.
  Rows may be parts of videos, see `segments`; programs in which people mark
  parts write other files, see `recordings.reading`.

  Args:
    source: path of the folder or list.
    labels_file: file that names the classes, see `label_files`; by default the
      classes are the sorted labels of the training split, integers as numbers.
    modality: 'rgb', or 'flow', where every clip is a folder of images, see
      `codec.to_record`.
    called: how the user calls 'source', 'labels' and the other fields.
    multi_label: whether a clip may have several labels, as `a|b` or, in JSON,
      an array of them. They are balanced between splits label by label.
    **splits: fields of `defaults.Splits`, as its `from_fields` takes them: what
      is done where no split is given. All clips of a video, and of a group,
      are in one split.

  Returns:
    A `listings.Listing`.

  Raises:
    InputError: if there is no such folder, list or labels file, it holds no
      labelled video, an empty class, or a class whose name is not a plain line
      of text, or as `splitting.assign`.
  """
  source = _existing(source, called('source'))
  splits = defaults.Splits.from_fields(splits, called)
  notes = []
  items = listed = read(source, modality, called, notes)
  items, excluded = listings.readable(items)
  if multi_label:
    items = label_sets.apart(items)
  else:
    label_sets.check_one(items, called)
    notes += label_sets.hint(items, called)
  _require(items, source, excluded, modality)
  items.sort(key=segments.order)
  items = splitting.assign(items, splits, source, called, notes)
  checks.one_split(items)
  labels = _labels(items, labels_file, source, called('labels'))
  if multi_label:
    label_sets.check_names(labels, called('labels'))
  items, unplaced = listings.placed(items, labels)
  excluded = sorted(excluded + unplaced)
  _require(items, source, excluded, modality)
  notes += listings.empty_classes(items, labels)
  if splits.folds:
    notes += folds.untrained(items, labels)
  if source.is_dir():
    for names in spelling.alike(labels):
      notes.append(f'there are classes that hardly differ: {names}')
  return listings.Listing(
    items,
    labels,
    excluded,
    notes,
    modality=modality,
    listed=listed,
    multi_label=multi_label,
  )


def read(source, modality='rgb', called='data.{}'.format, notes=None):
  """The clips of a folder, a list or a recording, as they are listed.

  Args:
    source: its path.
    modality: as in `scan`.
    called: as in `scan`.
    notes: a list; sentences on what is odd are added to it.

  Returns:
    A list of `listings.Item`; a label or split that is not given is ''.

  Raises:
    InputError: as `scan`, as far as one clip is concerned.
  """
  source = _existing(source, called('source'))
  notes = [] if notes is None else notes
  if read_annotations := reading.reader(source):
    return reading.read(source, read_annotations, notes)
  if source.is_dir():
    return class_folders.read(source, modality, notes)
  return lists.read(source, called('source'), notes)


def _existing(source, field):
  """The path of a source that exists."""
  if not source:
    raise errors.InputError(
      f'{field} is empty; give a folder of videos, a CSV or JSON '
      'list, or a built dataset.'
    )
  source = pathlib.Path(source).expanduser()
  if not source.exists():
    raise errors.InputError(
      f'{field} is {str(source)!r}, but no such folder or list exists.'
    )
  return source


def _require(items, source, excluded, modality):
  if not items:
    some = '; '.join(f'{name} {why}' for name, why in excluded[:5])
    raise errors.InputError(
      f'{str(source)!r} holds no usable video with a label'
      + (f': {some}' if some else '')
      + '; a folder has one sub-folder per class with '
      f'{class_folders.WANTED[modality]}, a list the columns path and label.'
    )


def _labels(items, labels_file, source, field):
  if labels_file:
    known = {name for item in items for name in item.classes}
    return label_files.read(labels_file, field, known)
  labels = listings.in_order(
    {
      name
      for item in items
      if item.split not in ('', 'val', 'test') and item.label
      for name in item.classes
    }
  )
  if not labels:
    raise errors.InputError(
      f'{str(source)!r} holds no labelled training video, so that its classes '
      f'are unknown; add some, or give {field}.'
    )
  return labels
