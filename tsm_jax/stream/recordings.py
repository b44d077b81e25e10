"""Long recordings whose events are known: a list, and a model's scores."""

import hashlib
import os
import pathlib
from typing import NamedTuple

import numpy as np

from tsm_jax import errors
from tsm_jax import progress as bars
from tsm_jax.data.sources import folder, segments, spelling
from tsm_jax.data.sources.recordings import checks
from tsm_jax.data.store import drawn
from tsm_jax.stream import flags, progress, score_cache, session
from tsm_jax.stream.events import rule_file, search, whole
from tsm_jax.stream.frames import due, files, pace

SPLIT = 'val'
_LATE = 1.0  # seconds behind the end of a video, as ends are rounded


class Truth(NamedTuple):
  """A true event: start and end in seconds, and its label."""

  start: float
  end: float
  label: str


class Listed(NamedTuple):
  """What a list says of recordings.

  Attributes:
    name: of its file.
    sha256: of its content.
    split: that was chosen, '' if it has none.
    truths: a dict from the path of every video to a list of `(start, end,
      label)`, seconds; empty where nothing happens.
  """

  name: str
  sha256: str
  split: str
  truths: dict[pathlib.Path, list[tuple[float, float, str]]]


def read(source, labels, background=(), split=''):
  """The recordings of a list, with their true events.

  Args:
    source: path of a list or of what else says where parts of videos begin
      and end, see `folder.read`. A row without a label is a
      recording in which nothing may happen.
    labels: class names of the model.
    background: labels that are no events.
    split: which recordings; by default 'val', or all of a list without splits.

  Returns:
    A `Listed`.

  Raises:
    InputError: if it is no such list, a label is not one of the model, a video
      is missing or in two splits, or there is no event.
  """
  items = folder.read(source, called='LIST'.format)
  source = pathlib.Path(source).expanduser()
  if not items:
    raise errors.InputError(f'{str(source)!r} lists no recording.')
  chosen, split = _of_split(items, split, source)
  rows = [item for some in chosen.values() for item in some]
  _check_labels(rows, labels, source)
  for path in chosen:
    if not path.is_file():
      raise errors.InputError(
        f'{str(source)!r} lists {str(path)!r}, which is no file.'
      )
  if not any(item.segment and _is_event(item, background) for item in rows):
    where = f' in the split {split!r}' if split else ''
    raise errors.InputError(
      f'{str(source)!r} has no event{where}: a row needs start, end and a '
      'label that is not background.'
    )
  digest = hashlib.sha256(source.read_bytes() if source.is_file() else b'')
  truths = segments.in_seconds(x for x in rows if _is_event(x, background))
  truths = {path: truths.get(path, []) for path in chosen}
  return Listed(source.name, digest.hexdigest(), split, truths)


def _is_event(item, background):
  return item.label and item.label not in background


def _check_labels(items, labels, source):
  for item in items:
    if item.label and item.label not in labels:
      raise errors.InputError(
        f'{str(source)!r} has the label {item.label!r}, which the model does '
        f'not know; did you mean {errors.nearest(item.label, labels)!r}?'
      )


def _of_split(items, split, source):
  """`({path: items}, split)` of the recordings in a split."""
  checks.one_split(items)
  videos = {}
  for item in items:
    path = spelling.find(item.path)
    videos.setdefault(path, []).append(item._replace(path=path))
  splits = {
    path: next(filter(None, (item.split for item in some)), '')
    for path, some in videos.items()
  }
  known = sorted(set(splits.values()) - {''})
  if not known and not split:
    return videos, ''
  split = split or SPLIT
  chosen = {path: videos[path] for path in videos if splits[path] == split}
  if not chosen:
    raise errors.InputError(
      f'{str(source)!r} has no recording in the split {split!r}; choose '
      f'--split from {", ".join(known) or "none: it has no column split"}.'
    )
  return chosen, split


def score(streams, path, interval):
  """A model's answers to a video, which it sees once, as a stream.

  Args:
    streams: a `session.Session` with a free slot.
    path: of the video.
    interval: seconds between two frames.

  Returns:
    `whole.Scores`.

  Raises:
    InputError: if it cannot be read.
  """
  name = os.fspath(path)
  times, logits, end = [], [], 0.0
  streams.add(name)
  try:
    with files.read(path) as source, _bar(path, source.length) as bar:
      for frame, count in due.Paced(source, pace.Pace(interval)):
        end = frame.time
        last = times[-1] if times else None
        for time in due.spread(last, end, count, interval):
          answers = streams.step({name: frame.image}, {name: time})
          logits.append(answers[name].logits)
          times.append(time)
        bar.reach(end)
  finally:
    streams.remove(name)
  return whole.Scores(
    np.array(times), np.stack(logits), max(source.length, end), source.damage
  )


def _bar(path, length):
  return progress.Progress(os.path.basename(path), length)


def load(trained, args, rule):
  """What a model answers to the recordings of a list.

  Args:
    trained: a `checkpoints.TrainedModel`.
    args: of the command: checkpoint, list, split, every and fps.
    rule: the `rules.Rule`, of which background and bgr matter.

  Returns:
    `(listed, recordings)`: a `Listed`, and a `search.Recordings` in its order.

  Raises:
    InputError: as `read` and `score`, if the model is not one for streams, or
      the interval between its frames is not known.
  """
  source = args.list or _of_training(trained)
  listed = read(source, trained.labels, rule.background, args.split)
  if not listed.split and _is_of_training(source, trained):
    progress.log(
      f'{source} names no splits: all of its recordings count, also those that '
      'the model was trained on, so that the numbers are too good; give it a '
      'column split, or another list.'
    )
  streams = session.Session(trained, rule=rule)
  interval = flags.interval(args, streams.interval)
  cache = score_cache.Cache(
    rule_file.workdir(args.checkpoint), trained, interval, rule.bgr
  )
  scores, truths = [], []
  for path, true in bars.bar(listed.truths.items(), 'recordings', leave=False):
    found = cache.load(path)
    if found is None:
      found = score(streams, path, interval)
      cache.save(path, found)
    if found.damage:  # also where its scores were known
      progress.log(f'{path}: damaged, {found.damage}')
    scores.append(found)
    truths.append(_within(path, true, found.seconds))
  return listed, search.Recordings(scores, truths, streams.labels, interval)


def _of_training(trained):
  """The list that a model was trained by."""
  data = trained.meta['config']['data']
  if not data['source']:
    raise errors.InputError(
      'The checkpoint does not say by which list it was trained; give LIST.'
    )
  return drawn.source(data)


def _is_of_training(source, trained):
  """Whether a list is the one that a model was trained by."""
  of_training = trained.meta['config']['data']['source']
  paths = source, of_training
  if not all(path and os.path.exists(path) for path in paths):
    return source == of_training
  return os.path.samefile(*paths)


def _within(path, truths, seconds):
  """The true events of a video as `Truth`s, none of which ends behind it.

  Raises:
    InputError: if one starts behind its end.
  """
  for start, end, label in truths:
    if start >= seconds:
      raise errors.InputError(
        f'An event {label!r} of {str(path)!r} starts at {start:g} s, but the '
        f'video ends at {seconds:g} s.'
      )
    if end > seconds + _LATE:
      progress.log(
        f'{path}: an event {label!r} ends at {end:g} s, but the video at '
        f'{seconds:g} s, where it is cut off.'
      )
  return [
    Truth(start, min(end, seconds), label) for start, end, label in truths
  ]
