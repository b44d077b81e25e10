"""Events are those that a plain rule finds in scores over time."""

import numpy as np
import pytest

from tsm_jax.stream.events import decider, rules

PLAIN = rules.Rule(0, 0.5, 0.3, {}, ('idle',), 0, 0, 0, 0)
LABELS = ['idle', 'wave', 'nod']


def logits(**probabilities):
  """Logits of LABELS whose softmax gives these; idle gets the rest."""
  rest = 1 - sum(probabilities.values())
  shares = {'idle': rest, **probabilities}
  return np.log([max(shares.get(label, 0), 1e-9) for label in LABELS])


def decide(rule, waves, interval=1.0):
  """All events of a stream in which 'wave' has these probabilities."""
  one = decider.create(rule, LABELS)
  found = []
  for number, wave in enumerate(waves):
    found += one.add(number * interval, logits(wave=wave))
  return [*found, *one.end()]


def test_an_event_is_kept_by_a_lower_threshold_than_starts_it():
  found = decide(PLAIN, [0.1, 0.4, 0.6, 0.4, 0.1, 0.4, 0.1])
  # From the first answer above 0.3 to the first below it; the second stretch
  # never reaches 0.5.
  assert [(e.start, e.end, e.label) for e in found] == [(1, 4, 'wave')]
  assert found[0].score == pytest.approx((0.4 + 0.6 + 0.4) / 3)
  assert found[0].decided == 2
