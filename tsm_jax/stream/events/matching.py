"""Which of the events that were found are true: each true one counts once."""


def overlap(one, other):
  """Temporal IoU of two spans `(start, end, ...)`; 0 if both have no length.

  >>> overlap((0, 2), (1, 3)), overlap((0, 2), (5, 6))
  (0.3333333333333333, 0.0)
  """
  shared = min(one[1], other[1]) - max(one[0], other[0])
  if shared <= 0:
    return 0.0
  return shared / (one[1] - one[0] + other[1] - other[0] - shared)


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
  near = ((overlap(event, truth), i) for i, truth in enumerate(truths))
  return sorted((pair for pair in near if pair[0] > 0), key=_falling)


def _falling(pair):
  return -pair[0], pair[1]
