"""Long recordings whose events are known: a list, and a model's scores."""

import hashlib
import os
import pathlib
from typing import NamedTuple

import numpy as np
from tqdm import auto as tqdm

from tsm_jax import errors
from tsm_jax.data.clips import opening
from tsm_jax.data.sources import lists, segments
from tsm_jax.data.store import drawn
from tsm_jax.stream import score_cache, session
from tsm_jax.stream.events import rule_file, search, whole
from tsm_jax.stream.frames import files, pace

SPLIT = 'val'


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
    source: path of a list, see `lists.read`. A row without a label is a
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
  source = pathlib.Path(source)
  items = lists.read(source, 'LIST')
  if not items:
    raise errors.InputError(f'{str(source)!r} lists no recording.')
  items, split = _of_split(items, split, source)
  for item in items:
    if item.label and item.label not in labels:
      raise errors.InputError(
        f'{str(source)!r} has the label {item.label!r}, which the model does '
        f'not know; did you mean {errors.nearest(item.label, labels)!r}?'
      )
    if not item.path.is_file():
      raise errors.InputError(
        f'{str(source)!r} lists {str(item.path)!r}, which is no file.'
      )
  truths = {item.path: [] for item in items}
  for path in truths:
    of_path = [
      item
      for item in items
      if item.path == path and item.label and item.label not in background
    ]
    try:
      truths[path] = segments.in_seconds(of_path).get(path, [])
    except opening.VideoError as error:
      raise errors.InputError(f'{str(path)!r} {error}.') from error
  if not any(truths.values()):
    where = f' in the split {split!r}' if split else ''
    raise errors.InputError(
      f'{str(source)!r} has no event{where}: a row needs a label that is not '
      'background, with start and end.'
    )
  digest = hashlib.sha256(source.read_bytes()).hexdigest()
  return Listed(source.name, digest, split, truths)


def _of_split(items, split, source):
  """`(items, split)` of the split that is asked for."""
  found = {}
  for item in items:
    if found.setdefault(item.path, item.split) != item.split:
      raise errors.InputError(
        f'{str(source)!r} has {str(item.path)!r} in the splits '
        f'{found[item.path]!r} and {item.split!r}; a recording is in one.'
      )
  splits = sorted(filter(None, set(found.values())))
  if not splits and not split:
    return items, ''
  split = split or SPLIT
  chosen = [item for item in items if item.split == split]
  if not chosen:
    raise errors.InputError(
      f'{str(source)!r} has no recording in the split {split!r}; choose '
      f'--split from {", ".join(splits) or "none: it has no column split"}.'
    )
  return chosen, split


def score(streams, path, interval, bgr=False):
  """A model's answers to a video, which it sees once, as a stream.

  Args:
    streams: a `session.Session` with a free slot.
    path: of the video.
    interval: seconds between two frames.
    bgr: whether blue and red are exchanged.

  Returns:
    `whole.Scores`.

  Raises:
    InputError: if it cannot be read, or its times are not those of a video.
  """
  name, steps = os.fspath(path), pace.Pace(interval)
  times, logits, frame = [], [], None
  streams.add(name)
  try:
    with files.read(path) as source, _progress(name, source.length) as bar:
      for frame in source:
        for time in spread(times, frame.time, steps.take(frame.time)):
          image = frame.image[..., ::-1] if bgr else frame.image
          answers = streams.step({name: image}, {name: time})
          logits.append(answers[name].logits)
          times.append(time)
        bar.update(frame.time - bar.n)
  finally:
    streams.remove(name)
  seconds = max(source.length, frame.time)
  return whole.Scores(np.array(times), np.stack(logits), seconds)


def spread(times, time, count):
  """The times of `count` steps that show the frame of `time`.

  >>> spread([0.0, 1.0], 2.0, 2), spread([], 2.0, 1)
  ([1.5, 2.0], [2.0])
  """
  if not times:
    return [time] * min(count, 1)
  last = times[-1]
  return [last + (time - last) * (i + 1) / count for i in range(count)]


def _progress(name, length):
  return tqdm.tqdm(
    desc=errors.printable(os.path.basename(name)),
    total=length or None,
    unit=' s',
    leave=False,
    disable=None,
  )


def load(trained, args, rule):
  """What a model answers to the recordings of a list.

  Args:
    trained: a `checkpoints.TrainedModel`.
    args: of the command: checkpoint, list, split and every.
    rule: the `rules.Rule`, of which background and bgr matter.

  Returns:
    `(listed, recordings)`: a `Listed`, and a `search.Recordings` in its order.

  Raises:
    InputError: as `read` and `score`, if the model is not one for streams, or
      the interval between its frames is not known.
  """
  source = args.list or _of_training(trained)
  listed = read(source, trained.labels, rule.background, args.split)
  streams = session.Session(trained)
  interval = args.every or streams.interval
  if not interval:
    raise errors.InputError(
      'The checkpoint does not say how many seconds are between the frames of '
      'its clips; give --every, in seconds.'
    )
  cache = score_cache.Cache(
    rule_file.workdir(args.checkpoint), trained, interval, rule.bgr
  )
  scores, truths = [], []
  for path, true in tqdm.tqdm(
    listed.truths.items(), 'recordings', leave=False, disable=None
  ):
    found = cache.load(path)
    if found is None:
      found = score(streams, path, interval, rule.bgr)
      cache.save(path, found)
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


def _within(path, truths, seconds):
  """The true events of a video as `Truth`s that end with it.

  Raises:
    InputError: if one starts behind its end.
  """
  for start, _, label in truths:
    if start >= seconds:
      raise errors.InputError(
        f'An event {label!r} of {str(path)!r} starts at {start:g} s, but the '
        f'video ends at {seconds:g} s.'
      )
  return [
    Truth(start, min(end, seconds), label) for start, end, label in truths
  ]
