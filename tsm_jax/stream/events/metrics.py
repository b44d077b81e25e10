"""How good the events of long recordings are."""

from typing import NamedTuple

import numpy as np

from tsm_jax.stream.events import matching

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of temporal IoU
LEAST = 0.5  # temporal IoU from which on an event is the true one


class Result(NamedTuple):
  """The numbers of an evaluation; shares are between 0 and 1.

  Attributes:
    average_precision: a dict from label to a dict from each of `LEVELS` to the
      average precision of all candidates; only of labels that have true events.
    num_true: number of true events.
    num_found: number of events that were found.
    num_hits: of these, how many are true: by label, and by a temporal IoU of
      `LEAST`.
    hours: length of all recordings.
    delays: float64 `[num_hits]`, seconds from the true start to the decision.
    confusion: int64 `[K + 1, K + 1]`: true labels in rows, those that were
      found in columns, whatever they are; the last row is events where nothing
      is, the last column true events where none was found.
  """

  average_precision: dict[str, dict[float, float]]
  num_true: int
  num_found: int
  num_hits: int
  hours: float
  delays: np.ndarray
  confusion: np.ndarray

  def mean_average_precision(self, level=None):
    """The mean over labels, at a temporal IoU or on average over `LEVELS`.

    NaN if there are no true events.
    """
    levels = LEVELS if level is None else (level,)
    values = [
      by_level[x]
      for by_level in self.average_precision.values()
      for x in levels
    ]
    return float(np.mean(values)) if values else float('nan')

  @property
  def precision(self):
    """The share of the events that are true; NaN if there are none."""
    return _share(self.num_hits, self.num_found)

  @property
  def recall(self):
    """The share of the true events that were found."""
    return _share(self.num_hits, self.num_true)

  @property
  def f1(self):
    """Harmonic mean of precision and recall."""
    return _share(2 * self.num_hits, self.num_true + self.num_found)

  @property
  def false_alarms_per_hour(self):
    """Events that are not true, per hour of recording."""
    return _share(self.num_found - self.num_hits, self.hours)


def _share(part, whole):
  return part / whole if whole else float('nan')


def evaluate(found, ranked, truths, labels, seconds):
  """Compares events with the true ones.

  Args:
    found: a list, for every recording, of lists of `rules.Event`.
    ranked: the same of all candidates, those that are not decided too, for the
      average precision, which ranks them by their scores.
    truths: the same of `(start, end, label)` in seconds, without background.
    labels: class names by index, for the confusion.
    seconds: length of every recording.

  Returns:
    A `Result`.
  """
  precision, hits, delays = {}, 0, []
  for label in labels:
    true = of_label(truths, label)
    for event, video, (index,) in matching.greedy(
      of_label(found, label), true, [LEAST]
    ):
      if index is not None:
        hits += 1
        delays.append(event.decided - true[video][index][0])
    if count := sum(map(len, true)):
      matches = matching.greedy(of_label(ranked, label), true, LEVELS)
      by_level = dict(zip(LEVELS, zip(*(match[2] for match in matches))))
      precision[label] = {
        level: average_precision(by_level.get(level, ()), count)
        for level in LEVELS
      }
  return Result(
    precision,
    num_true=sum(map(len, truths)),
    num_found=sum(map(len, found)),
    num_hits=hits,
    hours=float(sum(seconds)) / 3600,
    delays=np.array(delays, np.float64),
    confusion=_confusion(found, truths, labels),
  )


def of_label(spans, label):
  """Those of a label, in lists by recording as before."""
  return [[span for span in row if span[2] == label] for row in spans]


def average_precision(matches, count):
  """Average precision of one class, as ActivityNet computes it.

  Precision is made a falling function of recall, the largest one of this recall
  or a higher one; its integral is the average precision.

  Args:
    matches: what each event that was found is, in the order of their scores;
      None for one that is not true.
    count: of the true events, positive.

  Returns:
    Between 0 and 1.

  >>> average_precision([0, None, 1, None], 2)  # 1 at once, 2 / 3 for all
  0.8333333333333333
  """
  is_hit = np.array([match is not None for match in matches], bool)
  precision = np.cumsum(is_hit) / np.arange(1, len(is_hit) + 1)
  envelope = np.maximum.accumulate(precision[::-1])[::-1]
  return float(envelope[is_hit].sum() / count)


def _confusion(found, truths, labels):
  count = len(labels)
  index = {label: number for number, label in enumerate(labels)}
  table = np.zeros((count + 1, count + 1), np.int64)
  left = [list(row) for row in truths]
  for event, video, (truth,) in matching.greedy(found, truths, [LEAST]):
    row = count
    if truth is not None:
      row = index[truths[video][truth][2]]
      left[video][truth] = None
    table[row, index[event.label]] += 1
  for row in left:
    for truth in filter(None, row):
      table[index[truth[2]], count] += 1
  return table
