"""A built dataset: what it holds, and the records of its splits."""

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds

from tsm_jax import errors, modalities, sharding
from tsm_jax.data import intervals
from tsm_jax.data.store import (
  asked,
  build_report,
  fold_views,
  integrity,
  stored_records,
)

_SAMPLES = 100  # records that are read where a report does not say it


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A built dataset.

  Attributes:
    path: of its folder.
    report: what happened when it was built, see `build_report`.
    parts: of a split that is made of others, a list of these.
  """

  path: pathlib.Path
  report: dict[str, Any]
  parts: dict[str, list[str]] = dataclasses.field(default_factory=dict)

  @property
  def name(self):
    """Its name, which holds a hash of all that decides its content."""
    return self.report['name']

  @property
  def labels(self):
    """A list of the class names, in the order of their indices."""
    return self.report['labels']

  @property
  def options(self):
    """A dict of how its clips are stored, as `defaults.Options`.

    And of `multi_label`, if it is true.
    """
    several = {'multi_label': True} if self.multi_label else {}
    return {**self.report['options'], **several}

  @property
  def multi_label(self):
    """Whether a clip may have several labels."""
    return self.report.get('multi_label', False)

  @property
  def modality(self):
    """What its clips are, 'rgb' or 'flow'."""
    return self.report['modality']

  @property
  def num_frames(self):
    """A dict from split to the numbers of frames of its clips."""
    return self.report['num_frames']

  @functools.cached_property
  def seconds(self):
    """A dict from split to the seconds that its clips take, 0 if unknown.

    The reports of earlier versions do not have them: then they are those of
    `_SAMPLES` clips of a split, spread evenly over it, and 0 of the others.
    """
    stated = self.report.get('seconds')
    if stated is not None:
      return stated
    return {name: self._measure(name) for name in self.num_frames}

  def _measure(self, name):
    found = [0.0] * len(self.num_frames[name])
    if not found:
      return found
    records = self.split(name)
    numbers = np.linspace(0, len(found) - 1, _SAMPLES).astype(int)
    for number in np.unique(numbers).tolist():
      record = records[number]
      if record['fps']:
        found[number] = float(record['num_frames'] / record['fps'])
    return found

  def class_counts(self, name):
    """Clips of every class of a split, int `[K]`; None if it is not known.

    The reports of earlier versions do not have it, nor is it said of clips with
    several labels.

    Args:
      name: 'train', 'val' or 'test'.
    """
    classes = self.report.get('classes', {}).get(name)
    if self.multi_label or classes is None or None in classes:
      return None
    return np.bincount(np.array(classes, int), minlength=len(self.labels))

  def split(self, name):
    """The records of a split, a random-access source; see `codec`.

    Args:
      name: 'train', 'val' or 'test'.

    Raises:
      InputError: if there is no such split, or no clip in it.
    """
    build_report.require(
      self.num_frames, (name,), f'The dataset {str(self.path)!r}'
    )
    try:
      files = tfds.builder_from_directory(str(self.path))
      found = [files.as_data_source(n) for n in self.parts.get(name, [name])]
    except Exception as error:  # it has many kinds
      raise integrity.damaged(
        self.path, f'cannot be read: {str(error).partition(chr(10))[0]}'
      ) from error
    return stored_records.joined(
      [
        stored_records.Records(
          source, self.path, len(self.labels), self.multi_label
        )
        for source in found
      ],
      self.report.get('classes', {}).get(name),
    )

  def interval(self, splits, preprocessing):
    """How far apart the frames of the clips of a split are.

    Args:
      splits: names; the first one is measured, the others may refuse, too.
      preprocessing: a `preprocess.Preprocessing`.

    Returns:
      An `intervals.Interval`, or None, see `intervals.measure`.

    Raises:
      InputError: as `intervals.measure`.
    """
    first, *_ = [
      intervals.measure(*self._durations(name), preprocessing)
      for name in splits
    ]
    return first

  def _durations(self, name):
    """`(frames, seconds)` of the clips of a split, or of some of them."""
    counts, seconds = self.num_frames[name], self.seconds[name]
    if 'seconds' in self.report or not any(seconds):
      return counts, seconds
    return zip(*[pair for pair in zip(counts, seconds) if pair[1]])

  def check_modality(self, modality):
    """Raises InputError unless it holds what a model's `modality` reads."""
    stored = modalities.MODALITIES[modality].stored
    if self.modality != stored:
      raise errors.InputError(
        f'model.modality is {modality!r}, but the dataset {self.name} holds '
        f'{self.modality}; build one by python -m tsm_jax.data.build NAME '
        f'--modality {stored}.'
      )


def open(path, data=None):
  """The `Dataset` in the folder `path`.

  Args:
    path: of the folder.
    data: the fields of `configs/common.py`'s `data`, of which `folds` and
      `fold` say which of its folds are 'train' and 'val'; by default they
      have their own names.

  Raises:
    InputError: if the folder holds no built dataset, one whose files contradict
      each other, or other folds.
  """
  path = pathlib.Path(path).expanduser()
  if not build_report.exists(path):
    raise errors.InputError(
      f'{str(path)!r} is not a built dataset: it holds no {build_report.NAME}; '
      'build one by python -m tsm_jax.data.build.'
    )
  report = build_report.read(path)
  several = report.get('multi_label', False)
  integrity.check(path, report['labels'], report['num_frames'], several)
  build_report.check_lists(path, report)
  if data is None:
    return Dataset(path, report)
  parts = fold_views.sides(path, report, data)
  return Dataset(path, fold_views.seen(report, parts), parts)


def prepare(data, modality='rgb', log=print, splits=()):
  """The `Dataset` that a configuration asks for; it is built if need be.

  With several processes, the first one builds and the others wait.

  The name of a dataset holds a hash of its files' names, sizes, labels and
  splits and of the options, so that a changed folder is another dataset.

  Args:
    data: the fields of `configs/common.py`'s `data`.
    modality: of the model, a key of `modalities.MODALITIES`.
    log: called with every line for the user, by the first process.
    splits: that must have clips; whether they do is found out before the build.

  Raises:
    InputError: if one of `splits` has no clip, a larger share of the videos
      than `max_excluded` is unusable (the message lists them), the dataset
      holds nothing for a model of this modality, or as `folder.scan`.
  """
  stored = modalities.MODALITIES[modality].stored
  path = None
  if jax.process_index() == 0:
    path = asked.build(data, stored, log, splits)
  sharding.barrier('dataset is built')
  path = path or asked.build(data, stored, lambda line: None, splits)
  dataset = open(path, data)
  dataset.check_modality(modality)
  return dataset
