"""Numbers on events are those of a plain computation, and made by hand."""

import itertools

import numpy as np
import pytest

from tsm_jax.stream.events import matching, metrics, rules


def event(start, end, score=0.5, label='a', decided=None):
  return rules.Event(
    start, end, label, score, start if decided is None else decided
  )


def plain_average_precision(found, truths, level):
  """As the evaluation of ActivityNet is described, step by step."""
  ranked = sorted(
    ((e, video) for video, events in enumerate(found) for e in events),
    key=lambda pair: -pair[0].score,
  )
  used, curve, hits = set(), [(0.0, 1.0)], 0
  total = sum(len(row) for row in truths)
  for rank, (e, video) in enumerate(ranked, 1):
    candidates = []
    for number, (start, end, _) in enumerate(truths[video]):
      shared = max(0.0, min(end, e.end) - max(start, e.start))
      union = (end - start) + (e.end - e.start) - shared
      if union > 0 and shared / union >= level and (video, number) not in used:
        candidates.append((shared / union, -number))
    if candidates:
      used.add((video, -max(candidates)[1]))
      hits += 1
    curve.append((hits / total, hits / rank))
  area = 0.0
  for (before, _), (recall, _) in itertools.pairwise(curve):
    best = max(p for r, p in curve[1:] if r >= recall)
    area += (recall - before) * best
  return area


def average_precision(found, truths, level):
  matches = matching.greedy(found, truths, [level])
  return metrics.average_precision(
    [truth for *_, (truth,) in matches], sum(map(len, truths))
  )


def test_average_precision_is_that_of_a_plain_computation():
  rng = np.random.default_rng(0)
  for _ in range(40):
    truths, found = [], []
    for _ in range(3):
      starts = np.sort(rng.uniform(0, 60, rng.integers(0, 6)))
      truths.append([(s, s + rng.uniform(1, 6), 'a') for s in starts])
      near = [
        event(
          *np.sort([t[0] + rng.normal(), t[1] + rng.normal()]), rng.random()
        )
        for t in truths[-1] * 2
      ]
      found.append(near + [event(70, 72, rng.random())] * rng.integers(0, 2))
    if any(truths):
      for level in metrics.LEVELS:
        assert average_precision(found, truths, level) == pytest.approx(
          plain_average_precision(found, truths, level)
        )


def test_average_precision_by_hand():
  truths = [[(0, 2, 'a'), (10, 12, 'a')], []]
  # Ranked: true, false (a second one of the same), false, true.
  found = [
    [event(0, 2, 0.9), event(0.1, 2, 0.8), event(10, 12, 0.2)],
    [event(5, 6, 0.7)],
  ]
  # Recall 1/2 at precision 1, recall 1 at precision 2/4.
  assert average_precision(found, truths, 0.5) == 0.5 + 0.25
  assert average_precision([[], []], truths, 0.5) == 0
  # The first of the ranking takes the only true event; the better one fails.
  both = [[event(0, 1.2, 0.9), event(0, 2, 0.8)]]
  assert average_precision(both, [[(0, 2, 'a')]], 0.5) == 1
  assert average_precision(both, [[(0, 2, 'a')]], 0.7) == 0.5


def test_an_event_takes_the_next_best_when_the_best_is_taken():
  truths = [[(0, 4, 'a'), (2, 6, 'a')]]
  found = [[event(0.5, 4.5, 0.9), event(0.6, 4.6, 0.8)]]
  matches = matching.greedy(found, truths, [0.3, 0.7])
  assert [indices for *_, indices in matches] == [[0, 0], [1, None]]


def test_numbers_of_an_evaluation():
  labels = ['idle', 'a', 'b']
  truths = [[(0, 2, 'a'), (10, 12, 'b'), (20, 22, 'a')], [(5, 7, 'b')]]
  found = [
    [
      event(0.5, 2, 0.9, 'a', decided=1.5),  # a hit, 1.5 s late
      event(10, 12, 0.8, 'a'),  # of the wrong label
      event(30, 31, 0.7, 'b'),  # where nothing is
    ],
    [event(5, 7, 0.6, 'b', decided=5.5), event(5, 7, 0.5, 'b')],
  ]
  result = metrics.evaluate(found, found, truths, labels, [1200, 600])
  assert (result.num_true, result.num_found, result.num_hits) == (4, 5, 2)
  assert (result.precision, result.recall, result.hours) == (0.4, 0.5, 0.5)
  assert result.f1 == pytest.approx(2 * 0.4 * 0.5 / 0.9)
  assert result.false_alarms_per_hour == 6
  assert result.delays.tolist() == [1.5, 0.5]
  # Of 'a': true, false; one of two is found. Of 'b': false, true, false.
  assert result.average_precision['a'][0.5] == 0.5
  assert result.average_precision['b'][0.5] == 0.25
  assert set(result.average_precision) == {'a', 'b'}
  assert result.mean_average_precision(0.5) == 0.375
  assert result.confusion.tolist() == [
    [0, 0, 0, 0],
    [0, 1, 0, 1],  # one found, one missed
    [0, 1, 1, 0],  # one taken for 'a'
    [0, 0, 2, 0],  # one where nothing is, one a second time
  ]


def test_recordings_without_events():
  result = metrics.evaluate([[]], [[]], [[]], ['a'], [60])
  assert np.isnan(result.precision) and np.isnan(result.recall)
  assert np.isnan(result.mean_average_precision(0.5))
  assert result.false_alarms_per_hour == 0
  assert not result.confusion.any()


def test_average_precision_is_that_of_all_candidates():
  found = [[event(0, 2, 0.9)]]
  ranked = [[event(0, 2, 0.9), event(5, 7, 0.3), event(9, 10, 0.2)]]
  truths = [[(0, 2, 'a'), (5, 7, 'a')]]
  result = metrics.evaluate(found, ranked, truths, ['a'], [3600])
  assert result.mean_average_precision(0.5) == 1
  assert (result.recall, result.false_alarms_per_hour) == (0.5, 0)
