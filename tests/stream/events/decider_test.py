"""Events are those that a plain rule finds in scores over time."""

import numpy as np
import pytest

from tsm_jax import errors
from tsm_jax.stream.events import decider, rules, whole

PLAIN = rules.Rule(0, 0.5, 0.3, {}, ('idle',), 0, 0, 0, 0)
LABELS = ['idle', 'wave', 'nod']


def logits(**probabilities):
  """Logits of LABELS whose softmax gives these; idle gets the rest."""
  shares = {'idle': 1 - sum(probabilities.values()), **probabilities}
  return np.log([max(shares.get(label, 0), 1e-9) for label in LABELS])


def decide(rule, waves, interval=1.0):
  """All events of a stream in which 'wave' has these probabilities."""
  one, found = decider.create(rule, LABELS), []
  for number, wave in enumerate(waves):
    found += one.add(number * interval, logits(wave=wave))
  return [*found, *one.end()]


def spans(events):
  return [(event.start, event.end) for event in events]


def test_an_event_is_kept_by_a_lower_threshold_than_starts_it():
  (found,) = decide(PLAIN, [0.1, 0.4, 0.6, 0.4, 0.1, 0.4, 0.1])
  # From the first answer above 0.3 to the first below it; the second stretch
  # never reaches 0.5.
  assert (found.start, found.end, found.label) == (1, 4, 'wave')
  assert found.score == pytest.approx((0.4 + 0.6 + 0.4) / 3)
  assert found.decided == 2


def test_thresholds_are_those_of_the_class():
  rule = PLAIN._replace(thresholds={'wave': (0.7, 0.2)})
  assert decide(rule, [0, 0.6, 0]) == []
  assert spans(decide(rule, [0, 0.25, 0.75, 0.25, 0])) == [(1, 4)]


def test_logits_are_averaged_over_seconds_not_over_frames():
  rule = PLAIN._replace(window=1.0)
  for interval in (0.5, 0.25, 0.1):
    one = decider.create(rule, LABELS)
    for number in range(round(3 / interval)):
      time = number * interval
      one.add(time, [0, 0 if time < 1 else 4, 0])
      # One second later, the window is full of the new answers.
      share = min(1, (number + 1) * interval - 1) if time >= 1 else 0
      expected = np.exp(4 * share) / (np.exp(4 * share) + 2)
      assert one.probabilities[1] == pytest.approx(expected), time


def test_short_gaps_are_filled_and_short_events_dropped():
  waves = [0, 0.9, 0, 0.9, 0.9, 0, 0, 0.9, 0]
  assert spans(decide(PLAIN, waves)) == [(1, 2), (3, 5), (7, 8)]
  merging = PLAIN._replace(merge_gap=1.5)
  (first, second) = decide(merging, waves)
  assert spans([first, second]) == [(1, 5), (7, 8)]
  assert first.score == pytest.approx(0.9 * 3 / 4, abs=1e-6)  # with its gap
  longer = merging._replace(min_length=2)
  assert spans(decide(longer, waves)) == [(1, 5)]
  assert spans(decide(longer._replace(merge_gap=0), waves)) == [(3, 5)]


def test_what_is_decided_is_shown_and_never_taken_back():
  rule = PLAIN._replace(min_length=2, merge_gap=1.5)
  one, shown = decider.create(rule, LABELS), []
  waves = [0, 0.9, 0.9, 0, 0, 0.9, 0.4, 0.4, 0.4, 0, 0, 0]
  ended = []
  for time, wave in enumerate(waves):
    events = one.add(time, logits(wave=wave))
    shown.append(one.label)
    ended += [(time, *event[:2], event.decided) for event in events]
  # The first lasts 2 s, which is known when it ends; the second since 7 s. They
  # are reported when no more can join them.
  assert ended == [(5, 1, 3, 3), (11, 5, 9, 7)]
  assert [time for time, label in enumerate(shown) if label] == [7, 8, 9, 10]
  assert one.score == 0


def test_boundaries_are_moved_back_but_not_before_the_beginning():
  rule = PLAIN._replace(shift_start=1.5, shift_end=0.5)
  assert spans(decide(rule, [0, 0.9, 0.9, 0, 0.9, 0])) == [(0, 2.5), (2.5, 4.5)]
  late = PLAIN._replace(shift_start=0, shift_end=5)
  assert spans(decide(late, [0, 0.9, 0])) == [(1, 1)]  # never turned around


def test_what_is_open_ends_with_the_stream_which_may_begin_anew():
  one = decider.create(PLAIN._replace(shift_end=0.5), LABELS)
  one.add(10, logits(wave=0.9))
  one.add(11, logits(wave=0.9, nod=0.05))
  assert one.label == 'wave'
  assert one.score == pytest.approx(0.9)
  assert spans(one.end(12)) == [(10, 12)]
  assert (one.label, one.end()) == ('', ())
  one.add(0, logits(nod=0.9))
  assert spans(one.end()) == [(0, 0)]


def test_events_of_two_classes_may_overlap():
  one, found = decider.create(PLAIN, LABELS), []
  for time, (wave, nod) in enumerate(
    [(0.6, 0), (0.5, 0.4), (0.4, 0.6), (0, 0.9), (0, 0)]
  ):
    found += one.add(time, logits(wave=wave, nod=nod))
  assert [(e.label, e.start, e.end) for e in found] == [
    ('wave', 0, 3),
    ('nod', 1, 4),
  ]


@pytest.mark.parametrize(
  'time, answer, message',
  [
    (2, [0, 0, 0], 'An answer of 2 s comes after one of 2.5 s; the times of a'),
    (2.5, [0, 0, 0], 'comes after one of 2.5 s'),
    (np.nan, [0, 0, 0], 'times of a stream must grow'),
    (3, [0, np.nan, 0], 'The answer of 3 s must be 3 finite numbers'),
    (3, [0, 0], r'must be 3 finite numbers, .* shape is \(2,\)'),
  ],
)
def test_a_strange_answer_is_refused(time, answer, message):
  one = decider.create(PLAIN, LABELS)
  one.add(2.5, [0, 0, 0])
  with pytest.raises(errors.InputError, match=message):
    one.add(time, answer)


def test_memory_is_that_of_the_window():
  one = decider.create(PLAIN._replace(window=2.0), LABELS)
  for number in range(1000):
    one.add(number * 0.5, logits(wave=number % 2))
  assert len(one._answers) == 4
  assert len(one._open) <= 2


def test_arrays_find_the_events_that_a_stream_decides():
  rng = np.random.default_rng(0)
  count = 0
  for trial in range(24):
    steps = rng.choice([0.1, 0.25, 0.3], 80)
    walk = np.cumsum(rng.normal(size=(80, 3)), axis=0).astype(np.float32)
    scores = whole.Scores(np.cumsum(steps), walk, float(steps.sum()) + 0.2)
    on, off = sorted(rng.choice([0.2, 0.3, 0.5, 0.8], 2))[::-1]
    rule = rules.Rule(
      window=rng.choice([0, 0.5, 1.3]),
      on=on,
      off=off,
      background=('idle',) if trial % 2 else (),
      min_length=rng.choice([0, 0.5, 2]),
      merge_gap=rng.choice([0, 0.25, 1]),
      shift_start=0.2,
      shift_end=0.4,
    )
    smoothed = whole.smooth(scores, rule.window)
    found = sorted(
      candidate
      for index, label in enumerate(LABELS)
      if label not in rule.background
      for candidate in whole.candidates(scores, smoothed[:, index], rule, label)
    )
    for on, events in (
      (rule.on, [one for one in found if one.peak >= rule.on]),
      (rule.off, found),
    ):
      decided = sorted(whole.replay(scores, rule._replace(on=on), LABELS))
      count += len(decided)
      np.testing.assert_allclose(
        [(*one[:2], one.score) for one in events],
        [(*one[:2], one.score) for one in decided],
      )
      assert [one.label for one in events] == [one.label for one in decided]
  assert count > 100
