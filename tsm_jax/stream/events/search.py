"""Tries rules on recordings whose events are known."""

from typing import NamedTuple

import numpy as np

from tsm_jax.stream.events import matching, metrics, rules, whole

_OFF = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_WINDOWS = (0, 2, 3, 4, 6, 8, 12)  # intervals
_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 12)  # intervals, of events and of gaps
_LIMITS = (1, 2, 4)  # times the limit, at which recall counts


class Recordings(NamedTuple):
  """What a rule is chosen by.

  Attributes:
    scores: a list of `whole.Scores`.
    truths: for each, a list of `(start, end, label)`, without background.
    labels: class names by index.
    interval: seconds between two answers.
  """

  scores: list[whole.Scores]
  truths: list[list[tuple[float, float, str]]]
  labels: list[str]
  interval: float

  def seconds(self):
    """Length of every recording."""
    return [scores.seconds for scores in self.scores]

  def decide(self, rule):
    """The events of every recording, as a stream decides them."""
    return [whole.replay(one, rule, self.labels) for one in self.scores]

  def evaluate(self, rule):
    """The `metrics.Result` of a rule; candidates are ranked, see there."""
    found = ranked = self.decide(rule)
    if not rule.preset:
      ranked = self.decide(rules.lax(rule, self.labels))
    return metrics.evaluate(
      found, ranked, self.truths, self.labels, self.seconds()
    )


class Peaks(NamedTuple):
  """The candidates of a class or of all, those of the highest peak first.

  Attributes:
    peaks: float64 `[N]`.
    is_hit: bool `[N]`, whether each is true.
  """

  peaks: np.ndarray
  is_hit: np.ndarray

  def hits(self, false_alarms):
    """How many are true before there is one more false alarm than this."""
    false = np.flatnonzero(~self.is_hit)
    end = false[false_alarms] if false_alarms < len(false) else len(self.peaks)
    return int(self.is_hit[:end].sum())

  def threshold(self, false_alarms, least):
    """A probability between those hits and the next false alarm.

    Args:
      false_alarms: as of `hits`.
      least: the threshold `off`.
    """
    false = self.peaks[~self.is_hit]
    below = false[false_alarms] if false_alarms < len(false) else least
    above = self.peaks[self.is_hit & (self.peaks > below)]
    pair = np.array([below, above.min() if len(above) else 1.0])
    pair = np.clip(pair, 1e-9, 1 - 1e-9)
    middle = np.log(pair / (1 - pair)).mean()
    return float(max(least, 1 / (1 + np.exp(-middle))))


class Search:
  """Evaluates rules; what it knows is not computed again."""

  def __init__(self, recordings, background, limit):
    """Computes nothing yet.

    Args:
      recordings: `Recordings`, with at least one true event.
      background: labels that are no events.
      limit: false alarms per hour.
    """
    self._recordings = recordings
    self.labels = [x for x in recordings.labels if x not in background]
    self._true = {
      label: metrics.of_label(recordings.truths, label) for label in self.labels
    }
    self.num_true = sum(map(len, recordings.truths))
    self.hours = sum(recordings.seconds()) / 3600
    self._allowed = limit * self.hours
    lengths = [
      end - start for row in recordings.truths for start, end, _ in row
    ]
    self._short = float(np.quantile(lengths, 0.1))
    self._smoothed, self._merits = (None, None), {}

  def windows(self):
    """Lengths of the window to try, none longer than short events are."""
    return self._seconds(_WINDOWS, self._short)

  def _seconds(self, counts, most):
    tried = [count * self._recordings.interval for count in counts]
    return [round(x, 6) for x in tried if x <= most or not x]

  def budget(self, times=1):
    """False alarms that a threshold may let through here.

    One less than allowed: in other recordings of this length, as many as here
    and one more are to be expected above a threshold that is chosen by them.
    """
    return max(0, int(times * self._allowed + 1e-9) - 1)

  def merit(self, rule):
    """What is to be large: mean average precision, and recall at the limit.

    The first is averaged over `metrics.LEVELS`, the second over some multiples
    of the limit. `on` does not matter.
    """
    key = rule._replace(thresholds=None)  # which it tries none of
    if key not in self._merits:
      precisions, rows = [], []
      for label in self.labels:
        precision, peaks = self.of_class(rule, label)
        rows.append(peaks)
        if precision is not None:
          precisions.append(precision)
      hits = [merged(rows).hits(self.budget(times)) for times in _LIMITS]
      recall = np.mean(hits) / self.num_true
      self._merits[key] = round(float(np.mean(precisions) + recall), 9)
    return self._merits[key]

  def of_class(self, rule, label):
    """`(average precision or None, Peaks)` of the candidates of a class."""
    true = self._true[label]
    count = sum(map(len, true))
    matches = matching.greedy(self._find(rule, label), true, metrics.LEVELS)
    by_level = list(zip(*(match[2] for match in matches)))
    by_level = by_level or [()] * len(metrics.LEVELS)
    values = [
      metrics.average_precision(row, count) for row in by_level if count
    ]
    decisive = by_level[metrics.LEVELS.index(metrics.LEAST)]
    peaks = Peaks(
      np.array([match[0].peak for match in matches], np.float64),
      np.array([index is not None for index in decisive], bool),
    )
    return (float(np.mean(values)) if values else None), merged([peaks])

  def count(self, rule):
    """`(hits, false alarms)` of the events of a rule."""
    hits = found = 0
    for label in self.labels:
      on, _ = rule.of(label)
      events = [
        [event for event in row if event.peak >= on]
        for row in self._find(rule, label)
      ]
      matches = matching.greedy(events, self._true[label], [metrics.LEAST])
      found += len(matches)
      hits += sum(index is not None for *_, (index,) in matches)
    return hits, found - hits

  def _find(self, rule, label):
    """The candidates of a class, of every recording a list."""
    scores, index = (
      self._recordings.scores,
      self._recordings.labels.index(label),
    )
    if rule.window != self._smoothed[0]:
      smoothed = [whole.smooth(one, rule.window) for one in scores]
      self._smoothed = rule.window, smoothed
    return [
      whole.candidates(one, smoothed[:, index], rule, label)
      for one, smoothed in zip(scores, self._smoothed[1])
    ]

  def round(self, rule):
    """Gives every field but `on` its best value, one after the other.

    Of equally good ones, the middle one is the farthest from worse ones.
    """
    rule = max(rule, self._shifted(rule), key=self.merit)
    for field, values in (
      ('off', _OFF),
      ('merge_gap', self._seconds(_LENGTHS, self._short)),
      ('min_length', self._seconds(_LENGTHS, 0.75 * self._short)),
    ):
      tried = [rule._replace(**{field: value}) for value in values]
      best = max(map(self.merit, tried))
      if best >= self.merit(rule):
        equal = [one for one in tried if self.merit(one) == best]
        rule = equal[(len(equal) - 1) // 2]
    return max(rule, self._shifted(rule), key=self.merit)

  def _shifted(self, rule):
    """The rule whose shifts make up for how late boundaries usually are."""
    plain = rule._replace(shift_start=0.0, shift_end=0.0)
    late = []
    for label, true in self._true.items():
      found = self._find(plain, label)
      for event, video, (index,) in matching.greedy(found, true, [0.1]):
        if index is not None:
          start, end, _ = true[video][index]
          late.append((event.start - start, event.end - end))
    if not late:
      return rule
    start, end = np.maximum(np.median(late, axis=0), 0).round(3).tolist()
    return rule._replace(shift_start=start, shift_end=end)


def merged(rows):
  """Several `Peaks` as one; of equal peaks, false alarms are first."""
  peaks, is_hit = (np.concatenate(column) for column in zip(*rows))
  order = np.lexsort((is_hit, -peaks))
  return Peaks(peaks[order], is_hit[order])
