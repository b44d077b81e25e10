"""The official demo's rule, by sequences worked out by hand."""

import numpy as np
import pytest

from tsm_jax import errors
from tsm_jax.stream.events import decider, demo

NOTHING = 2


def outputs(predictions):
  """What is shown after each prediction, and the history."""
  history = [NOTHING, NOTHING]
  for index in predictions:
    history.append(demo.process_output(index, history))
  return history[2:]


@pytest.mark.parametrize(
  'predictions, shown',
  [
    # A change waits until what is shown has been so for two entries.
    ([15, 16, 16, 17, 17], [15, 15, 16, 16, 17]),
    ([15, 2, 15, 2], [15, 15, 15, 2]),
    # These are never shown: what was shown stays.
    ([15, 7, 8, 21, 22, 3, 15], [15] * 7),
    ([3, 3], [2, 2]),
    # 'Doing other things' counts as no gesture.
    ([9, 9, 0, 0], [9, 9, 2, 2]),
    ([9, 0, 0], [9, 9, 2]),
    # Also at once after a suppressed one: rule 1 comes before rule 2.
    ([9, 7, 0], [9, 9, 2]),
    # Where the official history of one entry fails; the authors' ports, which
    # start with two, show it.
    ([20], [20]),
  ],
)
def test_what_is_shown(predictions, shown):
  assert outputs(predictions) == shown


def test_one_entry_of_history_fails_as_in_the_official_demo():
  assert demo.process_output(2, [2]) == 2  # nothing changes
  with pytest.raises(IndexError):
    demo.process_output(15, [2])


def stream(labels, answers, interval=0.1):
  """A decider, its events and what it showed, for one-hot logits."""
  one = decider.create(demo.official_demo(labels), labels)
  events, shown = [], []
  for number, (name, height) in enumerate(answers):
    logits = np.zeros(len(labels))
    logits[labels.index(name)] = height
    events += one.add(number * interval, logits)
    shown.append(one.label)
  return one, events, shown


def test_twelve_logits_are_summed_whatever_the_labels_order():
  labels = sorted(demo.LABELS, reverse=True)
  answers = [('Stop Sign', 20.0)] + [('Thumb Up', 1.0)] * 14
  one, events, shown = stream(labels, answers)
  # The first is among the last 12, and outweighs them, until frame 11.
  assert shown == ['Stop Sign'] * 12 + ['Thumb Up'] * 3
  assert [(e.label, round(e.start, 6), round(e.end, 6)) for e in events] == [
    ('Stop Sign', 0, 1.2)
  ]
  (last,) = one.end(2)
  assert (last.label, round(last.start, 6), last.end) == ('Thumb Up', 1.2, 2)
  assert last.decided == last.start
  assert one.score == 0
  assert one.end() == ()


def test_a_gesture_that_is_no_longer_shown_has_ended():
  labels = list(demo.LABELS)
  answers = [('Swiping Up', 1.0)] * 3 + [('No gesture', 9.0)] * 2
  one, events, shown = stream(labels, answers)
  assert shown == ['Swiping Up'] * 3 + ['', '']
  (event,) = events
  assert event[:2] == pytest.approx((0, 0.3))
  assert event.score == pytest.approx(np.e / (np.e + 26))
  assert one.probabilities.argmax() == NOTHING


@pytest.mark.parametrize(
  'labels, message',
  [
    (demo.LABELS[1:], "does not know 'Doing other things'."),
    (['a', *demo.LABELS[2:]], "not know 'Doing other things' and 1 others"),
    ([*demo.LABELS, 'a'], 'the model has 28 labels'),
  ],
)
def test_it_is_for_its_gestures_only(labels, message):
  with pytest.raises(errors.InputError, match=message):
    demo.official_demo(labels)
