"""Tries rules on recordings whose events are known."""

from typing import NamedTuple

import numpy as np

from tsm_jax.stream.events import matching, metrics, rules, whole

ON = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
OFF = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_WINDOWS = (0, 2, 3, 4, 6, 8, 12)  # intervals
_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 12)  # intervals, of events and of gaps
_VARIED = 0.7  # what is added to the logits of `on`
_FEWEST = 5  # true events of a class, for thresholds of its own
_MARGIN = 0.005  # mean average precision that these must gain


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

  def evaluate(self, rule):
    """The `metrics.Result` of a rule, its events decided as in a stream."""
    found = [whole.replay(one, rule, self.labels) for one in self.scores]
    return metrics.evaluate(found, self.truths, self.labels, self.seconds())


class Point(NamedTuple):
  """How good a rule is; of two, the larger is the better one.

  Attributes:
    excess: false alarms per hour above the limit, negative, or 0.
    precision: mean average precision, averaged over `metrics.LEVELS`.
    false_alarms: minus their number per hour.
    misses: minus the share of true events that are not found.
  """

  excess: float
  precision: float
  false_alarms: float
  misses: float


class Search:
  """Evaluates rules; what it knows of a class is not computed again."""

  def __init__(self, recordings, limit):
    """Computes nothing yet.

    Args:
      recordings: `Recordings`, with at least one true event.
      limit: false alarms per hour, see `Point`.
    """
    self._recordings, self._limit = recordings, limit
    self._hours = sum(recordings.seconds()) / 3600
    self._by_label = {
      label: metrics.of_label(recordings.truths, label)
      for label in recordings.labels
    }
    lengths = [
      end - start for row in recordings.truths for start, end, _ in row
    ]
    self._short = float(np.quantile(lengths, 0.1))
    self.best = self._most = None
    self.forget()

  def forget(self):
    """Drops the numbers of earlier rules."""
    self._smoothed, self._numbers = {}, {}

  def windows(self):
    """Lengths of the window to try, none longer than short events are."""
    return self._seconds(_WINDOWS, self._short)

  def _seconds(self, counts, most):
    tried = [count * self._recordings.interval for count in counts]
    return [round(x, 6) for x in tried if x <= most or not x]

  def point(self, rule):
    """The `Point` of a rule; `best` is the best one that was asked for.

    Others of its numbers than `excess` are means over the rule, one that is a
    little laxer and one that is a little stricter: to other recordings, a rule
    seems to be so.
    """
    points = [self.measure(one) for one in self._around(rule)]
    _, precision, alarms, misses = np.mean(points, axis=0).tolist()
    point = Point(points[0].excess, round(precision, 9), alarms, misses)
    if self._most is None or point > self._most:
      self.best, self._most = rule, point
    return point

  def _around(self, rule):
    step, labels = self._recordings.interval, self._recordings.labels
    yield rule
    for way in (-1, 1):
      length = max(0.0, rule.min_length + way * step)
      varied = rules.stricter(rule, labels, way * _VARIED)
      yield varied._replace(min_length=length)

  def measure(self, rule):
    """The `Point` of a rule alone."""
    numbers = [
      self._of_class(rule, label)
      for label in self._recordings.labels
      if label not in rule.background
    ]
    precisions = [precision for precision, *_ in numbers if precision >= 0]
    found, hits, true = (sum(row[i] for row in numbers) for i in (1, 2, 3))
    alarms = (found - hits) / self._hours
    return Point(
      min(0.0, self._limit - alarms),
      float(np.mean(precisions)),
      -alarms,
      (hits - true) / true,
    )

  def _of_class(self, rule, label):
    """`(average precision or -1, found, hits, true)` of a class."""
    on, off = rule.of(label)
    key = label, rule._replace(on=on, off=off, thresholds=None)
    if key not in self._numbers:
      found, true = self._events(rule, label), self._by_label[label]
      matches = matching.greedy(found, true, metrics.LEVELS)
      count = sum(map(len, true))
      by_level = list(zip(*(match[2] for match in matches)))
      by_level = by_level or [()] * len(metrics.LEVELS)
      values = [
        metrics.average_precision(row, count) for row in by_level if count
      ]
      decisive = by_level[metrics.LEVELS.index(metrics.LEAST)]
      hits = sum(index is not None for index in decisive)
      mean = float(np.mean(values)) if values else -1.0
      self._numbers[key] = mean, len(matches), hits, count
    return self._numbers[key]

  def _events(self, rule, label):
    """The events of a class, of every recording a list."""
    if rule.window not in self._smoothed:
      self._smoothed = {  # only of one window at a time
        rule.window: [
          whole.smooth(one, rule.window) for one in self._recordings.scores
        ]
      }
    index = self._recordings.labels.index(label)
    return [
      whole.find(one, smoothed[:, index], rule, label)
      for one, smoothed in zip(
        self._recordings.scores, self._smoothed[rule.window]
      )
    ]

  def round(self, rule, merit=lambda point: point):
    """Tries every field once, and gives each its best value.

    Args:
      rule: `rules.Rule` to start from.
      merit: of a `Point`, what is to be large.

    Returns:
      A rule.
    """
    for field, values in (
      ('off', OFF),
      ('on', ON),
      ('merge_gap', self._seconds(_LENGTHS, self._short)),
      ('min_length', self._seconds(_LENGTHS, 0.75 * self._short)),
    ):
      tried = [rule._replace(**{field: value}) for value in values]
      tried = [one for one in tried if one.off <= one.on]
      merits = [merit(self.point(one)) for one in tried]
      if max(merits) >= merit(self.point(rule)):
        # Of equally good ones the middle one is the farthest from worse ones.
        equal = [one for one, x in zip(tried, merits) if x == max(merits)]
        rule = equal[(len(equal) - 1) // 2]
    return max(rule, self.shifted(rule), key=lambda x: merit(self.point(x)))

  def shifted(self, rule):
    """The rule whose shifts make up for how late boundaries are usually."""
    plain = rule._replace(shift_start=0.0, shift_end=0.0)
    late = []
    for label, true in self._by_label.items():
      if label in rule.background:
        continue
      found = self._events(plain, label)
      for event, video, (index,) in matching.greedy(found, true, [0.1]):
        if index is not None:
          start, end, _ = true[video][index]
          late.append((event.start - start, event.end - end))
    if not late:
      return rule
    start, end = np.maximum(np.median(late, axis=0), 0).round(3).tolist()
    return rule._replace(shift_start=start, shift_end=end)

  def thresholds(self, rule):
    """Gives classes thresholds of their own, where that gains enough."""
    for label in self._recordings.labels:
      count = sum(map(len, self._by_label[label]))
      if label in rule.background or count < _FEWEST:
        continue
      before = self.point(rule)
      best, point = rule, before
      for off in OFF:
        for on in ON:
          if off <= on:
            own = {**rule.thresholds, label: (on, off)}
            tried = rule._replace(thresholds=own)
            if self.point(tried) > point:
              best, point = tried, self.point(tried)
      gained = point.precision - before.precision
      if point.excess > before.excess or gained >= _MARGIN:
        rule = best
    return rule
