"""The files of a built dataset, which are not trusted when they are read.

They may be cut, emptied, edited or by somebody else: whatever is wrong is a
sentence that names the file.
"""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

from tsm_jax.data.store import build_report, tfds_builder

INFO = 'dataset_info.json'
FEATURES = 'features.json'
LABELS = 'label.labels.txt'
# How a feature is described that TFDS may import or build from anything, in
# lower case and without underscores.
_CLASS_NAME = 'pythonclassname'
_FOREIGN = (_CLASS_NAME, 'type', 'content', 'protocls', 'jsonfeature')


def check(path, report):
  """Raises InputError unless TFDS's files are those that go with the report.

  Nothing that they name is imported: they may only be of the features that
  `tfds_builder.features` has.

  Args:
    path: of the folder of a dataset.
    report: its build report.
  """
  _check_features(path / FEATURES, report['labels'])
  _check_labels(path / LABELS, report['labels'])
  counts = report['num_frames']
  sizes = {name: len(counts[name]) for name in sorted(counts) if counts[name]}
  stored = _sizes(path / INFO)
  if stored != sizes:
    raise build_report.damaged(
      path / INFO,
      f'counts the clips {stored}, but {build_report.NAME} counts {sizes}',
    )


def _check_features(path, labels):
  known = set(_class_names(tfds_builder.features(labels)))
  for key, value in _pairs(build_report.read_json(path)):
    plain = key.replace('_', '').lower()
    if plain in _FOREIGN and not (plain == _CLASS_NAME and value in known):
      raise build_report.damaged(
        path,
        f'describes a feature by {key} {value!r}, which no dataset built here '
        'has',
      )


def _class_names(feature):
  """The names under which TFDS writes down a feature and those within it."""
  yield f'{type(feature).__module__}.{type(feature).__name__}'
  inner = getattr(feature, 'feature', None)
  within = [inner] if inner is not None else []
  if hasattr(feature, 'values'):
    within = feature.values()
  for each in within:
    yield from _class_names(each)


def _pairs(tree):
  """All keys of nested dicts, with their values."""
  if isinstance(tree, list):
    for each in tree:
      yield from _pairs(each)
  elif isinstance(tree, dict):
    for key, value in tree.items():
      yield key, value
      yield from _pairs(value)


def _check_labels(path, labels):
  names = build_report.read_text(path).removesuffix('\n').split('\n')
  if names != labels:
    number = next(
      (i for i, pair in enumerate(zip(names, labels)) if pair[0] != pair[1]),
      min(len(names), len(labels)),
    )
    raise build_report.damaged(
      path,
      f'names {len(names)} classes and {build_report.NAME} {len(labels)}; the '
      f'first that differs is number {number}',
    )


def _sizes(path):
  """The number of records of each split, as TFDS has counted them."""
  splits = build_report.read_json(path).get('splits', [])
  try:
    sizes = {s['name']: sum(map(int, s['shardLengths'])) for s in splits}
    return {name: sizes[name] for name in sorted(sizes) if sizes[name]}
  except (KeyError, TypeError, ValueError) as error:
    raise build_report.damaged(path, 'has splits without counts') from error


class Records:
  """The records of a split, as TFDS reads them; damage is a sentence."""

  def __init__(self, path, split):
    """Opens a split of the dataset in the folder `path`.

    Raises:
      InputError: if a file of it is missing or damaged.
    """
    try:
      files = tfds.builder_from_directory(str(path))
      info = files.info.splits[split]
    except Exception as error:  # of many kinds
      raise build_report.damaged(
        path / INFO, f'is not read by TFDS ({error})'
      ) from error
    self._files = [pathlib.Path(file) for file in info.filepaths]
    self._ends = np.cumsum(info.shard_lengths)
    for file in self._files:
      if not file.is_file():
        raise build_report.damaged(file, 'is not there')
    self._source = files.as_data_source(split)

  def __len__(self):
    return len(self._source)

  def __getitem__(self, i):
    try:
      return self._source[i]
    except (RuntimeError, ValueError) as error:  # another hash, for example
      file = self._files[np.searchsorted(self._ends, i, 'right')]
      reason = str(error).split(';')[0]
      raise build_report.damaged(
        file, f'has no whole record {i} ({reason})'
      ) from error

  def __iter__(self):
    return (self[i] for i in range(len(self)))
