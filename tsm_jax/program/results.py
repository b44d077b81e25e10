"""What an evaluation found: sums over a split, and what each clip got."""

from typing import NamedTuple

import numpy as np


class Result(NamedTuple):
  """Sums over a split, the fractions that follow from them, and every clip.

  Attributes:
    top1: fraction of clips whose largest logit is that of their label.
    top5: fraction whose label is among the five largest.
    loss: mean cross-entropy.
    num_clips: clips counted, N.
    confusion: int `[K, K]`, row: label, column: prediction.
    logits: float32 `[N, K]`, the mean over the views, in the order of the
      split; None where only sums were kept.
    labels: int32 `[N]`, or None.
    clips: a list of the clips' names, as the source gives them, or None.
  """

  top1: float
  top5: float
  loss: float
  num_clips: int
  confusion: np.ndarray
  logits: np.ndarray | None = None
  labels: np.ndarray | None = None
  clips: list[str] | None = None

  @property
  def score(self):
    """By what models are compared."""
    return self.top1

  def headline(self):
    """What counts most, in words."""
    return f'top-1 {self.top1:.2%}'

  def in_short(self):
    """Its fractions in half a line."""
    return f'{self.headline()}, top-5 {self.top5:.2%}'

  def scalars(self, prefix=''):
    """A dict of the fractions and the loss, for `metrics.Writer`."""
    return {
      f'{prefix}{name}': getattr(self, name)
      for name in ('top1', 'top5', 'mean_class', 'loss')
    }

  @property
  def mean_class(self):
    """Mean class accuracy: that of `per_class`, classes without clips left out.

    Every class counts alike, however many clips it has.
    """
    return float(np.nanmean(self.per_class()))

  def per_class(self):
    """Top-1 of the clips of every class `[K]`; nan for a class without any."""
    total, right = self.confusion.sum(axis=1), np.diagonal(self.confusion)
    return np.where(total > 0, right / np.maximum(total, 1), np.nan)


class Clips:
  """What evaluation found of every clip, gathered batch by batch.

  Its memory is that of the logits: 32 MB of 20,000 clips and 400 classes.
  """

  def __init__(self, num_clips, num_classes, label_shape=()):
    """All are nan until they are added."""
    self.logits = np.full((num_clips, num_classes), np.nan, np.float32)
    self.labels = np.zeros((num_clips, *label_shape), np.int32)

  def add(self, logits, label, number, mask):
    """Adds a batch of all processes; the clips that fill it up are left out.

    Args:
      logits: float `[B, K]`.
      label: int `[B]`, or of several ones `[B, K]`.
      number: of the clip in its split, int `[B]`.
      mask: `[B]`, 1 for a clip and 0 for filling.
    """
    real = np.asarray(mask) > 0
    rows = np.asarray(number)[real]
    self.logits[rows] = np.asarray(logits)[real]
    self.labels[rows] = np.asarray(label)[real]


class Named:
  """A source of records that notes the names of those that were read."""

  def __init__(self, source):
    """Reads nothing yet.

    Args:
      source: of records, from `Dataset.split`.
    """
    self._source = source
    self.label_shape = getattr(source, 'label_shape', ())
    self.names = {}  # the name of every record that was read, by its number

  def __len__(self):
    return len(self._source)

  def __getitem__(self, number):
    record = self._source[number]
    self.names[number] = record['video_id'].decode(errors='replace')
    return record


def summarize(total, num_clips):
  """The `Result` of the sums of `metrics.counts` over `num_clips` clips."""
  confusion = np.asarray(total['confusion'], np.int64)
  counted = int(confusion.sum())
  if counted != num_clips:
    raise AssertionError(f'{counted} clips were counted of {num_clips}.')
  return Result(
    top1=float(np.trace(confusion)) / counted,
    top5=float(total['top5']) / counted,
    loss=float(total['loss']) / counted,
    num_clips=counted,
    confusion=confusion,
  )


def describe(result, labels, split, views):
  """A `Result`, also a `multi_label.Result`, as a dict for JSON."""
  return {
    'split': split,
    'views': views.clips * views.crops,
    'clips': views.clips,
    'crops': views.crops,
    'full_resolution': views.full_resolution,
    'num_clips': result.num_clips,
    **result.scalars(),
    'per_class': {
      label: None if np.isnan(top1) else top1
      for label, top1 in zip(labels, result.per_class().tolist())
    },
  }


def summary(result):
  """A `Result` in a line."""
  more = ''
  if result.confusion is not None:
    more = f', mean class {result.mean_class:.2%}'
  return f'{result.in_short()}{more}, loss {result.loss:.4f}'
