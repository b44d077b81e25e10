"""What a `decider.Decider` finds, of a recording that is there as a whole.

`tune` tries thousands of rules: here each is a few operations on arrays.
"""

from typing import NamedTuple

import numpy as np

from tsm_jax.stream.events import answers, decider, rules


class Scores(NamedTuple):
  """The answers to the frames of a recording.

  Attributes:
    times: float64 `[N]`, of the frames, in seconds; they grow.
    logits: float32 `[N, K]`.
    seconds: length of the recording.
  """

  times: np.ndarray
  logits: np.ndarray
  seconds: float


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


def find(scores, probability, rule, label):
  """The events of one class.

  Args:
    scores: `Scores`.
    probability: float64 `[N]`, a column of `smooth`.
    rule: a `rules.Rule` without a preset.
    label: the name of the class.

  Returns:
    A list of `rules.Event`, by their start.
  """
  on, off = rule.of(label)
  above = np.flatnonzero(np.diff(probability >= off, prepend=0, append=0))
  firsts, ends = above[::2], above[1::2]  # indices; an end is not in it
  if not len(firsts):
    return []
  times = np.append(scores.times, scores.times[-1])
  parted = times[firsts[1:]] - times[ends[:-1]] >= (
    rule.merge_gap - decider.ROUNDING
  )
  firsts = firsts[np.append(True, parted)]
  ends = ends[np.append(parted, True)]
  events = []
  for first, end in zip(firsts.tolist(), ends.tolist()):
    part = probability[first:end]
    # When the lower bound of the length is passed, and the upper threshold.
    sure = times[first:end] - times[first] >= rule.min_length - decider.ROUNDING
    reached = np.maximum.accumulate(part) >= on
    if not reached[-1] or (
      times[end] - times[first] < rule.min_length - decider.ROUNDING
    ):
      continue
    decided = np.flatnonzero(sure & reached & (part >= off))
    late = rule.shift_end if end < len(probability) else 0
    start = max(times[0], times[first] - rule.shift_start)
    events.append(
      rules.Event(
        float(start),
        float(max(start, times[end] - late)),
        label,
        float(part.mean()),
        float(times[first + decided[0]] if len(decided) else times[end]),
      )
    )
  return events
