"""The records of a split, in any order."""

import functools
import operator

import numpy as np

from tsm_jax.data.store import integrity


class Records:
  """A random-access source of the records of a split, see `codec`.

  A record that cannot be read raises an `InputError` that names its file.
  """

  def __init__(self, source, path, num_labels, classes=None):
    """Reads nothing yet.

    Args:
      source: TFDS's own data source.
      path: `pathlib.Path` of the folder of the dataset.
      num_labels: how many classes there are.
      classes: of all records, as the report has them: None for one of which
        it is not known, or for all.
    """
    self._source, self._path = source, path
    self._num_labels, self._classes = num_labels, classes

  def __len__(self):
    return len(self._source)

  def __getitem__(self, number):
    number = operator.index(number)
    if not 0 <= number < len(self):
      raise IndexError(f'There is no record {number} of {len(self)}.')
    try:
      record = self._source[number]
    except Exception as error:  # those of protobuf, array_record and TFDS
      raise self._damaged(number, f'cannot be read: {_first(error)}') from error
    label = int(record['label'])
    if not 0 <= label < self._num_labels:
      raise self._damaged(
        number, f'has the label {label}, of {self._num_labels} classes'
      )
    return record

  @functools.cached_property
  def classes(self):
    """The class of every record, int32 `[n]`; no frame is decoded.

    The reports of earlier versions do not have them: then all records are read.
    """
    classes = self._classes
    if classes is None or None in classes:
      classes = [self[number]['label'] for number in range(len(self))]
    return np.array(classes, np.int32)

  def _damaged(self, number, why):
    return integrity.damaged(
      self._file(number), f'is damaged: its record {number} {why}'
    )

  def _file(self, number):
    """The path of the file that holds a record."""
    split = self._source.dataset_info.splits[self._source.split]
    for name, length in zip(split.filenames, split.shard_lengths):
      if number < length:
        return self._path / name
      number -= length
    return self._path


def _first(error):
  return str(error).partition('\n')[0][:200] or type(error).__name__
