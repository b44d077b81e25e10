"""A built dataset: what it holds, and the records of its splits."""

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds

from tsm_jax import errors, modalities, sharding
from tsm_jax.data import defaults, intervals
from tsm_jax.data.sources import folder
from tsm_jax.data.sources.recordings import background
from tsm_jax.data.store import (
  build_report,
  builder,
  drawn,
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
  """

  path: pathlib.Path
  report: dict[str, Any]

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
    """A dict of how its clips are stored, as `defaults.Options`."""
    return self.report['options']

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

  def split(self, name):
    """The records of a split, a random-access source; see `codec`.

    Args:
      name: 'train', 'val' or 'test'.

    Raises:
      InputError: if there is no such split, or no clip in it.
    """
    _require(self.num_frames, (name,), f'The dataset {str(self.path)!r}')
    try:
      files = tfds.builder_from_directory(str(self.path))
      source = files.as_data_source(name)
    except Exception as error:  # it has many kinds
      raise integrity.damaged(
        self.path, f'cannot be read: {str(error).partition(chr(10))[0]}'
      ) from error
    classes = self.report.get('classes', {}).get(name)
    return stored_records.Records(source, self.path, len(self.labels), classes)

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


def open(path):
  """The `Dataset` in the folder `path`.

  Raises:
    InputError: if the folder holds no built dataset, or one whose files
      contradict each other.
  """
  path = pathlib.Path(path).expanduser()
  if not build_report.exists(path):
    raise errors.InputError(
      f'{str(path)!r} is not a built dataset: it holds no {build_report.NAME}; '
      'build one by python -m tsm_jax.data.build.'
    )
  report = build_report.read(path)
  integrity.check(path, report['labels'], report['num_frames'])
  build_report.check_lists(path, report)
  return Dataset(path, report)


def _require(clips, splits, what):
  """Raises InputError if a split has no clip.

  Args:
    clips: a dict from split to its clips.
    splits: that must have some.
    what: they are of, the first words of the message.
  """
  for name in splits:
    if not clips.get(name):
      found = ', '.join(f'{s} ({len(c)})' for s, c in clips.items() if c)
      remedy = ''
      if name == 'val' and clips.get('test'):
        remedy = (
          '; evaluate on another one by --config.eval.split=test, or call it '
          'val'
        )
      raise errors.InputError(
        f'{what} has no clip in the split {name!r}; it has {found}{remedy}.'
      )


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
    path = _build(data, stored, log, splits)
  sharding.barrier('dataset is built')
  dataset = open(path or _build(data, stored, lambda line: None, splits))
  dataset.check_modality(modality)
  return dataset


def _build(data, stored, log, splits):
  """The path of the dataset, `data['source']` itself if it is one already."""
  source = data['source']
  options = defaults.Options.from_fields(data)  # older runs lack max_frames
  if source and build_report.exists(source):
    _check_background(data, source)
    return source
  source = drawn.source(data, log)
  seed = data['holdout_seed']
  listing = folder.scan(source, data['labels'], data['holdout'], seed, stored)
  listing = background.add(
    listing, data.get('background', ''), seed, data['labels']
  )
  clips = {}
  for item in listing.items:
    clips.setdefault(item.split, []).append(item)
  _require(clips, splits, f'data.source is {str(source)!r}, which')
  plan = builder.Plan(
    listing, source, drawn.data_dir(data), options, data['max_excluded']
  )
  return builder.build(plan, log)


def _check_background(data, source):
  """Raises InputError if a built dataset lacks the class of `background`."""
  label = data.get('background', '')
  if label and label not in build_report.read(source)['labels']:
    raise errors.InputError(
      f'data.background is {label!r}, but the dataset {str(source)!r} was '
      f'built without it; build it from its list, or by --background {label!r}.'
    )
