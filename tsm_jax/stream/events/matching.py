"""Which of the events that were found are true: each true one counts once."""

import numpy as np


def overlaps(one, others):
  """Temporal IoU of a span with each of several.

  Args:
    one: `(start, end, ...)`.
    others: a list of such spans.

  Returns:
    float64 `[N]`; two of no length overlap by 0.

  >>> overlaps((0, 2), [(1, 3), (0, 2), (5, 6)]).tolist()
  [0.3333333333333333, 1.0, 0.0]
  """
  starts, ends = np.array([span[:2] for span in others], float).T
  shared = np.minimum(ends, one[1]) - np.maximum(starts, one[0])
  shared = np.maximum(shared, 0)
  union = ends - starts + (one[1] - one[0]) - shared
  return np.divide(shared, union, out=np.zeros(len(others)), where=union > 0)


def greedy(found, truths, least):
  """Gives events to true ones, those of the highest score first.

  Each takes the true event of its recording that it overlaps most, of those
  that none has taken.

  Args:
    found: a list, for every recording, of lists of `rules.Event`.
    truths: the same of `(start, end, label)`. Labels do not matter here.
    least: temporal IoU that a match must have.

  Returns:
    A list of `(event, video, truth)`, the highest score first: the index of the
    recording, and that of the true event in it or None.
  """
  ranked = [
    (event, video) for video, events in enumerate(found) for event in events
  ]
  ranked.sort(key=lambda pair: (-pair[0].score, pair[1], pair[0]))
  taken, matches = set(), []
  for event, video in ranked:
    best = None
    if truths[video]:
      shares = overlaps(event, truths[video])
      for index in np.argsort(-shares, kind='stable').tolist():
        if shares[index] < least:
          break
        if (video, index) not in taken:
          best = index
          taken.add((video, index))
          break
    matches.append((event, video, best))
  return matches
