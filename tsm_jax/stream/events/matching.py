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


def greedy(found, truths, levels):
  """Gives events to true ones, those of the highest score first.

  Each takes the true event of its recording that it overlaps most, of those
  that none has taken.

  Args:
    found: a list, for every recording, of lists of `rules.Event`.
    truths: the same of `(start, end, label)`. Labels do not matter here.
    levels: temporal IoU that a match must have; for each, all is done anew.

  Returns:
    A list of `(event, video, matches)`, the highest score first: the index of
    the recording, and for every level that of the true event in it, or None.
  """
  ranked = [
    (event, video) for video, events in enumerate(found) for event in events
  ]
  ranked.sort(key=lambda pair: (-pair[0].score, pair[1], pair[0]))
  taken = [set() for _ in levels]
  result = []
  for event, video in ranked:
    near = _nearest(event, truths[video])
    matches = []
    for level, others in zip(levels, taken):
      free = (
        index
        for share, index in near
        if share >= level and (video, index) not in others
      )
      matches.append(next(free, None))
      others.add((video, matches[-1]))
    result.append((event, video, matches))
  return result


def _nearest(event, truths):
  """`(overlap, index)` of the true events that it overlaps, the most first."""
  if not truths:
    return []
  shares = overlaps(event, truths)
  order = np.argsort(-shares, kind='stable').tolist()
  return [(float(shares[i]), i) for i in order if shares[i] > 0]
