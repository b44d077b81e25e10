"""What a `decider.Decider` finds, of a recording that is there as a whole.

`tune` tries thousands of rules: here each is a few operations on arrays.
"""

from typing import NamedTuple

import numpy as np

from tsm_jax.stream.events import answers, decider


class Scores(NamedTuple):
  """The answers to the frames of a recording.

  Attributes:
    times: float64 `[N]`, of the frames, in seconds; they grow.
    logits: float32 `[N, K]`.
    seconds: length of the recording.
    damage: what is broken of it, or ''.
  """

  times: np.ndarray
  logits: np.ndarray
  seconds: float
  damage: str = ''


class Candidate(NamedTuple):
  """What is an event if `peak` is at least `on`.

  Attributes:
    start, end, label, score: as those of `rules.Event`.
    peak: the highest probability.
  """

  start: float
  end: float
  label: str
  score: float
  peak: float


def replay(scores, rule, labels):
  """The events of a recording, as a stream decides them.

  Args:
    scores: `Scores`.
    rule: a `rules.Rule`.
    labels: class names by index.

  Returns:
    A list of `rules.Event`, as they end.
  """
  one, events = decider.create(rule, labels), []
  for time, logits in zip(scores.times.tolist(), scores.logits):
    events += one.add(time, logits)
  return [*events, *one.end()]


def smooth(scores, window):
  """Probabilities float64 `[N, K]` of logits averaged over a window."""
  logits = np.concatenate([scores.logits[:1] * 0, scores.logits])
  sums = np.cumsum(logits, axis=0, dtype=np.float64)
  ends = np.arange(1, len(logits))
  oldest = scores.times - window + decider.ROUNDING
  starts = np.searchsorted(scores.times, oldest, 'right')
  starts = np.minimum(starts, ends - 1)
  means = (sums[ends] - sums[starts]) / (ends - starts)[:, None]
  return answers.softmax(means)


def candidates(scores, probability, rule, label):
  """What may be events of one class: whatever `on` is.

  Args:
    scores: `Scores`.
    probability: float64 `[N]`, a column of `smooth`.
    rule: a `rules.Rule` without a preset.
    label: the name of the class.

  Returns:
    A list of `Candidate`, by their start.
  """
  _, off = rule.of(label)
  firsts, ends = _stretches(scores.times, probability >= off, rule.merge_gap)
  if not len(firsts):
    return []
  times = np.append(scores.times, scores.times[-1])
  peaks = np.maximum.reduceat(probability, firsts)  # below `off` behind them
  sums = np.append(0.0, np.cumsum(probability))
  means = (sums[ends] - sums[firsts]) / (ends - firsts)
  late = np.where(ends < len(probability), rule.shift_end, 0.0)
  starts = np.maximum(times[0], times[firsts] - rule.shift_start)
  stops = np.maximum(starts, times[ends] - late)
  kept = times[ends] - times[firsts] >= rule.min_length - decider.ROUNDING
  rows = (x[kept].tolist() for x in (starts, stops, means, peaks))
  return [
    Candidate(start, stop, label, mean, peak)
    for start, stop, mean, peak in zip(*rows)
  ]


def _stretches(times, above, merge_gap):
  """`(firsts, ends)`: indices where stretches begin, and where they are over.

  Args:
    times: float64 `[N]`.
    above: bool `[N]`.
    merge_gap: seconds; shorter gaps part no stretches.
  """
  padded = np.zeros(len(above) + 2, np.int8)
  padded[1:-1] = above
  changes = np.flatnonzero(padded[1:] != padded[:-1])
  firsts, ends = changes[::2], changes[1::2]
  if len(firsts) < 2:
    return firsts, ends
  parted = times[firsts[1:]] - times[ends[:-1]] >= merge_gap - decider.ROUNDING
  edge = np.array([True])
  return firsts[np.append(edge, parted)], ends[np.append(parted, edge)]
