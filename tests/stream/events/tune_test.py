"""The rule that is chosen is the best one of scores made for it."""

import numpy as np
import pytest

from tsm_jax.stream.events import rules, search, tune, whole

LABELS = ['idle', 'wave', 'nod']
STEP = 0.25


@pytest.fixture(autouse=True)
def few_values(monkeypatch):
  """The search is the same with all, but takes longer."""
  monkeypatch.setattr(search, '_WINDOWS', (0, 3))
  monkeypatch.setattr(search, '_OFF', (0.1, 0.2, 0.3, 0.5))
  monkeypatch.setattr(search, '_LENGTHS', (0, 2, 4))


def recording(events, seconds=70, height=4.0, late=0.0, noise=0.0, seed=0):
  """`(scores, truths)`: an event's logit is `height` above that of idle."""
  times = np.arange(0, seconds, STEP)
  logits = np.random.default_rng(seed).normal(0, noise, (len(times), 3))
  logits[:, 0] += 2
  for start, end, label in events:
    shown = (times >= start + late) & (times < end + late)
    logits[shown, LABELS.index(label)] += height
  scores = whole.Scores(times, logits.astype(np.float32), float(seconds))
  return scores, events


def recordings(*found):
  scores, truths = zip(*found)
  return search.Recordings(list(scores), list(truths), LABELS, STEP)


EVENTS = [
  (start, start + 2 + start % 3 / 2, ('wave', 'nod')[start // 6 % 2])
  for start in range(3, 63, 6)
]


def test_boundaries_that_are_late_are_moved_back():
  rule = tune.tune(recordings(recording(EVENTS, late=1.0)), ('idle',), 6)
  result = recordings(recording(EVENTS, late=1.0)).evaluate(rule)
  assert result.mean_average_precision() == 1
  assert result.false_alarms_per_hour == 0
  (found,) = [whole.replay(recording(EVENTS, late=1.0)[0], rule, LABELS)]
  for event, (start, end, label) in zip(sorted(found), EVENTS, strict=True):
    assert event.label == label
    assert event[:2] == pytest.approx((start, end), abs=STEP)


def test_short_false_alarms_are_avoided():
  scores, truths = recording(EVENTS)
  for time in np.arange(6, 66, 6):  # one frame each
    scores.logits[int(time / STEP), 1] += 4
  found = recordings((scores, truths))
  usual = rules.Rule(0, background=('idle',), min_length=0, merge_gap=0)
  assert found.evaluate(usual).false_alarms_per_hour == pytest.approx(
    10 * 3600 / 70
  )
  rule = tune.tune(found, ('idle',), 6)
  assert found.evaluate(rule).false_alarms_per_hour == 0
  assert found.evaluate(rule).recall == 1
  assert tune.tune(found, ('idle',), 6) == rule  # nothing is drawn by chance


def test_the_limit_of_false_alarms_is_kept():
  scores, truths = recording(EVENTS)
  # Where nothing is, 'wave' looks like an event, but for its probability.
  for time in np.arange(6, 60, 12):
    first = int(time / STEP)
    scores.logits[first : first + 8, 1] += 3.5
  found = recordings((scores, truths))
  strict = tune.tune(found, ('idle',), 0)
  assert found.evaluate(strict).false_alarms_per_hour == 0
  assert found.evaluate(strict).recall == 1


def test_a_class_gets_thresholds_of_its_own():
  waves = [event for event in EVENTS if event[2] == 'wave']
  nods = [event for event in EVENTS if event[2] == 'nod']
  # Nods are hardly seen; waves seem to be where they are not, as probable.
  one, _ = recording(nods, height=1.4)
  for start, end, _ in waves:
    shown = (one.times >= start) & (one.times < end)
    one.logits[shown, 1] += 5
  for time in (6, 18, 30, 42):
    first = int(time / STEP)
    one.logits[first : first + 10, 1] += 1.4
  found = recordings((one, EVENTS))
  # 3.9 false alarms in 70 s: enough for two thresholds.
  rule = tune.tune(found, ('idle',), 200)
  result = found.evaluate(rule)
  assert (result.recall, result.false_alarms_per_hour) == (1, 0)
  assert rule.of('nod')[0] < rule.of('wave')[0]
  # With fewer, one threshold gives up the nods.
  rule = tune.tune(found, ('idle',), 6)
  assert not rule.thresholds
  result = found.evaluate(rule)
  assert (result.recall, result.false_alarms_per_hour) == (0.5, 0)
  assert result.mean_average_precision(0.5) == 1  # of all candidates


def peaks(*pairs):
  peak, is_hit = zip(*pairs)
  return search.merged([search.Peaks(np.array(peak), np.array(is_hit, bool))])


def test_a_threshold_is_between_hits_and_the_next_false_alarm():
  found = peaks((0.9, 1), (0.8, 0), (0.5, 1), (0.2, 0), (0.5, 0))
  # Of equal peaks, no threshold parts the true from the false.
  assert [found.hits(count) for count in range(4)] == [1, 1, 2, 2]
  assert found.threshold(0, 0.1) == pytest.approx(6 / 7)  # odds 9 and 4
  assert found.threshold(1, 0.1) == pytest.approx(0.75)  # odds 9 and 1
  assert found.threshold(2, 0.1) == pytest.approx(1 / 3)  # odds 1 and 1 / 4
  assert found.threshold(3, 0.1) == pytest.approx(0.25)  # odds 1 and 1 / 9
  assert found.threshold(3, 0.4) > 0.4
  assert peaks((0.9, 0)).threshold(0, 0.1) > 0.99  # nothing is found


def test_labels_share_the_false_alarms_that_are_allowed():
  waves = peaks((0.9, 1), (0.8, 0), (0.7, 1), (0.6, 1), (0.5, 0))
  nods = peaks((0.3, 1), (0.2, 0), (0.1, 0))
  both = {'wave': waves, 'nod': nods}
  assert tune._apart(both, 1) == (0, {})
  assert tune._apart(both, 2) == (2, {'wave': 0, 'nod': 0})
  assert tune._apart(both, 3) == (4, {'wave': 1, 'nod': 0})


def test_what_is_allowed_is_one_more_than_is_let_through():
  found = recordings(recording(EVENTS, seconds=3600))
  for limit, budget in ((0, 0), (1, 0), (2, 1), (6.5, 5)):
    assert search.Search(found, ('idle',), limit).budget() == budget


def test_the_trade_off_goes_through_the_rule():
  found = recordings(recording(EVENTS, noise=1.0, height=3.0))
  rule = rules.Rule(0.5, background=('idle',), thresholds={'nod': (0.7, 0.4)})
  result = found.evaluate(rule)
  points = {p['stricter']: p for p in tune.trade_off(found, rule)}
  assert points[0]['misses'] == pytest.approx(1 - result.recall)
  assert points[0]['false_alarms_per_hour'] == result.false_alarms_per_hour
  alarms = [p['false_alarms_per_hour'] for p in points.values()]
  assert alarms == sorted(alarms, reverse=True)
  assert points[6.0]['misses'] == 1
