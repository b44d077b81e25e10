"""The dataset that a configuration asks for, built if need be."""

import contextlib
import pathlib
import statistics
from typing import Any, NamedTuple

from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import opening, videos
from tsm_jax.data.sources import folder
from tsm_jax.data.sources.recordings import background
from tsm_jax.data.sources.splitting import folds
from tsm_jax.data.store import build_report, builder, drawn, fold_views

SAMPLES = 9  # videos whose size is looked at


class Survey(NamedTuple):
  """What a dataset will hold.

  Attributes:
    labels: class names by index.
    clips: a dict from split to the number of its clips.
    short_side: of the usual video, pixels; None if it is not known.
    options: how clips are stored, as a dict of `defaults.Options`; None if that
      is not decided yet.
  """

  labels: list[str]
  clips: dict[str, int]
  short_side: int | None
  options: dict[str, Any] | None


def build(data, stored, log, splits):
  """The path of the dataset that fields ask for.

  Args:
    data: the fields of `configs/common.py`'s `data`.
    stored: what its clips are, 'rgb' or 'flow'.
    log: called with every line for the user.
    splits: that must have clips.

  Returns:
    Its path; `data['source']` itself if that is a dataset already.

  Raises:
    InputError: as `dataset.prepare`.
  """
  source = data['source']
  options = defaults.Options.from_fields(data)  # older runs lack max_frames
  if source and build_report.exists(source):
    _check_background(data, source)
    _check_labels(data, source)
    _tell_unused(data, source, log)
    return source
  source = drawn.source(data, log)
  listing, clips = _scan(source, data, stored)
  build_report.require(clips, splits, f'data.source is {str(source)!r}, which')
  plan = builder.Plan(
    listing, source, drawn.data_dir(data), options, data['max_excluded']
  )
  return builder.build(plan, log)


def survey(data, stored, log):
  """What a dataset will hold, before its videos are decoded.

  Args:
    data: the fields of `configs/common.py`'s `data`.
    stored: what its clips are, 'rgb' or 'flow'.
    log: called with a line where the videos have to be drawn first.

  Returns:
    A `Survey`.

  Raises:
    InputError: as `folder.scan`.
  """
  source = data['source']
  if source and build_report.exists(source):
    report = build_report.read(source)
    labels, options = report['labels'], report['options']
    clips, side = report['num_frames'], options['short_side']
    if sides := fold_views.sides(source, report, data):
      clips = fold_views.joined(clips, sides)
  else:
    listing, clips = _scan(drawn.source(data, log), data, stored)
    labels, options, side = listing.labels, None, _side(listing.items)
  counts = {split: len(some) for split, some in clips.items()}
  return Survey(labels, counts, side, options)


def _side(items):
  """The median short side of some videos, in pixels; None if it is unknown."""
  sides = []
  for item in items[:: -(-len(items) // SAMPLES) or 1]:
    if item.path.is_file():
      with (
        contextlib.suppress(videos.VideoError, OSError),
        opening.container(item.path) as container,
      ):
        stream = opening.video(container)
        sides.append(min(stream.width, stream.height))
  return statistics.median_low(sides) if sides else None


def _scan(source, data, stored):
  """`(listing, clips)` of videos, the latter by split."""
  rule = defaults.Splits.from_fields(data)
  listing = folder.scan(
    source,
    data['labels'],
    stored,
    multi_label=data.get('multi_label', False),
    **rule._asdict(),
  )
  listing = background.add(
    listing,
    data.get('background', ''),
    rule.holdout_seed,
    data['labels'],
  )
  clips = {}
  for item in listing.items:
    clips.setdefault(item.split, []).append(item)
  if rule.folds:
    clips = fold_views.joined(clips, folds.sides(rule.folds, rule.fold))
  return listing, clips


def find(name, data):
  """The path of a built dataset that a model was trained on, or None.

  So that the videos need not be there any more, nor be looked through.

  Args:
    name: of the dataset, or None.
    data: the fields of `configs/common.py`'s `data`, as of the training.
  """
  folder = drawn.data_dir(data) / 'video_folder' / str(name)
  source = pathlib.Path(data['source']).expanduser()
  if build_report.exists(source) and build_report.read(source)['name'] == name:
    return source
  found = [path for path in folder.glob('*') if build_report.exists(path)]
  return found[0] if name and found else None


def _tell_unused(data, source, log):
  """Says which fields would have decided what a built dataset holds."""
  splits = {'labels': '', **defaults.Splits()._asdict()}
  for name in ('labels', 'holdout', 'holdout_seed', 'group'):
    value = data.get(name, splits[name])
    if value != splits[name]:
      log(f'data.{name}={value!r} does nothing: {source} was built, and split.')
  options = build_report.read(source)['options']
  for name, usual in defaults.USUAL._asdict().items():
    value, there = data.get(name, usual), options.get(name, usual)
    if value not in (usual, there):
      log(f'data.{name}={value!r} does nothing: {source} has {there!r}.')


def _check_labels(data, source):
  """Raises InputError if a built dataset has no clips of several labels."""
  several = build_report.read(source).get('multi_label', False)
  if data.get('multi_label', False) and not several:
    raise errors.InputError(
      f'data.multi_label is True, but the dataset {str(source)!r} was built '
      'with one label per clip; build it by --multi_label, or leave it out.'
    )


def _check_background(data, source):
  """Raises InputError if a built dataset lacks the class of `background`."""
  label = data.get('background', '')
  if label and label not in build_report.read(source)['labels']:
    raise errors.InputError(
      f'data.background is {label!r}, but the dataset {str(source)!r} was '
      f'built without it; build it from its list, or by --background {label!r}.'
    )
