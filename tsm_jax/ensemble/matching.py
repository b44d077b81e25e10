"""The models of an ensemble, each with its dataset, and which clip is which."""

import os
from typing import NamedTuple

from tsm_jax import errors, evaluate, progress
from tsm_jax.data.clips import videos
from tsm_jax.data.store import dataset
from tsm_jax.runs import checkpoints, request


class Member(NamedTuple):
  """One of the models.

  Attributes:
    path: of its checkpoint, as for `checkpoints.restore_model`.
    weight: of its scores, positive; only proportions matter.
    source: a built dataset; '' is the one that it was trained with.
  """

  path: str
  weight: float = 1.0
  source: str = ''


class Opened(NamedTuple):
  """A member with its checkpoint, its dataset and the records of the split."""

  member: Member
  trained: checkpoints.TrainedModel
  dataset: dataset.Dataset
  records: object


def open_member(member, split, log):
  """Opens a member's checkpoint and its dataset.

  Args:
    member: a `Member`.
    split: of the dataset.
    log: called with every line for the user.

  Returns:
    An `Opened`.

  Raises:
    InputError: if a part is missing or they do not fit.
  """
  trained = checkpoints.restore_model(member.path)
  request.require_one_label(trained, 'ensembles')
  data = trained.meta['config']['data']
  log(f'{member.path}:')
  if member.source:
    built = dataset.open(member.source)
    built.check_modality(trained.config.modality)
  elif data.get('source'):
    built = dataset.prepare(data, trained.config.modality, log, (split,))
  else:
    raise errors.InputError(
      f'{member.path} names no dataset, as it was not trained here; give those '
      'of all models by --sources.'
    )
  evaluate.check_labels(trained.labels, built.labels)
  request.tell_other_data(trained, built, log)
  return Opened(member, trained, built, built.split(split))


def check_classes(opened):
  """Raises InputError unless all have the same classes in the same order."""
  first, labels = opened[0].member.path, opened[0].trained.labels
  for one in opened:
    others = one.trained.labels
    if labels != others:
      differing = [pair for pair in zip(labels, others) if pair[0] != pair[1]]
      a, b = differing[0] if differing else (len(labels), len(others))
      what = 'class' if differing else 'number of classes'
      raise errors.InputError(
        f'{first} and {one.member.path} do not have the same classes in the '
        f'same order: where one has the {what} {a!r}, the other has {b!r}.'
      )


def match(opened):
  """Which row of each member is which video.

  Args:
    opened: a list of `Opened`.

  Returns:
    `(clips, orders)`: the names of the first member's clips in their order, and
    for each member its rows in that order.

  Raises:
    InputError: if the datasets do not hold the same videos by name.
  """
  clips = {}  # each dataset is read once
  for one in opened:
    if one.dataset.path not in clips:
      clips[one.dataset.path] = _clips(one.records)
  names = {path: _rows(listed) for path, listed in clips.items()}
  first = names[opened[0].dataset.path]
  orders = []
  for one in opened:
    rows = names[one.dataset.path]
    if rows.keys() != first.keys():
      raise errors.InputError(
        f'The datasets of {opened[0].member.path} and {one.member.path} do not '
        f'hold the same videos: {_some(first.keys() - rows.keys())} only in '
        'the first, '
        f'{_some(rows.keys() - first.keys())} only in the other.'
      )
    orders.append([rows[name] for name in first])
  return clips[opened[0].dataset.path], orders


def _clips(source):
  """The names of all clips in their order."""
  return [
    source[i]['video_id'].decode()
    for i in progress.bar(range(len(source)), desc='names', leave=False)
  ]


def _rows(clips):
  """The row of every video; a folder of flow has the name of its video file."""
  stems = [
    stem if suffix.lower() in videos.SUFFIXES else stem + suffix
    for stem, suffix in map(os.path.splitext, clips)
  ]
  unique = len(set(stems)) == len(clips)
  return {name: i for i, name in enumerate(stems if unique else clips)}


def _some(names):
  listed = ', '.join(map(repr, sorted(names)[:5]))
  return f'{len(names)} ({listed}{", ..." if len(names) > 5 else ""})'
