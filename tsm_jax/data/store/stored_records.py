"""The records of a split, in any order."""

import bisect
import functools
import itertools
import operator

import numpy as np

from tsm_jax import progress
from tsm_jax.data.store import integrity


class Records:
  """A random-access source of the records of a split, see `codec`.

  A record that cannot be read raises an `InputError` that names its file.
  """

  def __init__(self, source, path, num_labels, multi_label=False):
    """Reads nothing yet.

    Args:
      source: TFDS's own data source.
      path: `pathlib.Path` of the folder of the dataset.
      num_labels: how many classes there are.
      multi_label: whether clips may have several labels; the label of a record
        is then int32 `[K]`, 1 for each that it has.
    """
    self._source, self._path = source, path
    self._num_labels = num_labels
    self.label_shape = (num_labels,) if multi_label else ()

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
    for label in np.ravel(record['label']).tolist():
      if not 0 <= label < self._num_labels:
        raise self._damaged(
          number, f'has the label {label}, of {self._num_labels} classes'
        )
    if self.label_shape:
      several = np.zeros(self.label_shape, np.int32)
      several[record['label']] = 1
      record = {**record, 'label': several}
    return record

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


def joined(sources, classes=None):
  """One source of the records of several, one after the other.

  Args:
    sources: a list of `Records`.
    classes: of all records, as the report has them: None for one of which it is
      not known, or for all.
  """
  return _Joined(sources, classes)


class _Joined:
  """A random-access source, whose classes are known without its records."""

  def __init__(self, sources, classes):
    self._sources, self._classes = sources, classes
    self._ends = list(itertools.accumulate(map(len, sources)))
    self.label_shape = sources[0].label_shape

  def __len__(self):
    return self._ends[-1]

  def __getitem__(self, number):
    number = operator.index(number)
    if not 0 <= number < len(self):
      raise IndexError(f'There is no record {number} of {len(self)}.')
    which = bisect.bisect_right(self._ends, number)
    source = self._sources[which]
    return source[number - self._ends[which] + len(source)]

  @functools.cached_property
  def classes(self):
    """The class of every record, int32 `[n]`; no frame is decoded.

    The reports of earlier versions do not have them: then all records are read.
    """
    classes = self._classes
    if classes is None or None in classes:
      numbers = progress.bar(range(len(self)), 'read classes', leave=False)
      classes = [self[number]['label'] for number in numbers]
    return np.array(classes, np.int32)
