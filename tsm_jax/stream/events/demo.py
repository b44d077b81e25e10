"""The rule of the official online demo, for its 27 gestures.

Where the demo fails, this goes on: its history starts with one entry, of which
it reads the last two, so that a first answer other than 'No gesture' is an
IndexError; here the history starts with two, as in the authors' port to
TensorFlow.
"""

import collections

import numpy as np

from tsm_jax import errors
from tsm_jax.stream.events import answers, rules

# In the order of the demo, which counts on these numbers. It is sorted.
LABELS = (
  'Doing other things',
  'Drumming Fingers',
  'No gesture',
  'Pulling Hand In',
  'Pulling Two Fingers In',
  'Pushing Hand Away',
  'Pushing Two Fingers Away',
  'Rolling Hand Backward',
  'Rolling Hand Forward',
  'Shaking Hand',
  'Sliding Two Fingers Down',
  'Sliding Two Fingers Left',
  'Sliding Two Fingers Right',
  'Sliding Two Fingers Up',
  'Stop Sign',
  'Swiping Down',
  'Swiping Left',
  'Swiping Right',
  'Swiping Up',
  'Thumb Down',
  'Thumb Up',
  'Turning Hand Clockwise',
  'Turning Hand Counterclockwise',
  'Zooming In With Full Hand',
  'Zooming In With Two Fingers',
  'Zooming Out With Full Hand',
  'Zooming Out With Two Fingers',
)
_NOTHING = LABELS.index('No gesture')
_OTHER = LABELS.index('Doing other things')
_NEVER_SHOWN = {7, 8, 21, 22, 3}  # rolling, turning and pulling the hand
_NUM_LOGITS = 12
_LAST = 2  # entries of the history that decide


def official_demo(labels, bgr=False):
  """The demo's rule, as a preset.

  Args:
    labels: of the model: the demo's, in any order.
    bgr: whether blue and red are exchanged, which the demo does by mistake.

  Returns:
    A `rules.Rule`.

  Raises:
    InputError: if the labels are others.
  """
  if missing := sorted(set(LABELS) - set(labels)):
    raise errors.InputError(
      f"The preset 'official_demo' is for the {len(LABELS)} gestures of "
      f'Jester; the model does not know {missing[0]!r}'
      f'{f" and {len(missing) - 1} others" if missing[1:] else ""}.'
    )
  if len(labels) != len(LABELS):
    raise errors.InputError(
      f"The preset 'official_demo' is for the {len(LABELS)} gestures of "
      f'Jester; the model has {len(labels)} labels.'
    )
  background = LABELS[_OTHER], LABELS[_NOTHING]
  return rules.Rule(background=background, preset='official_demo', bgr=bgr)


def process_output(index, history):
  """What the demo shows, by what is most probable.

  Args:
    index: of `LABELS`.
    history: at least two indices that were shown, the last one at the end.

  Returns:
    The index that is shown now.

  >>> process_output(15, [2, 2]), process_output(15, [2, 9])
  (15, 9)
  """
  if index in _NEVER_SHOWN:
    index = history[-1]
  if index == _OTHER:
    index = _NOTHING
  if index != history[-1] and history[-1] != history[-2]:
    return history[-1]
  return index


class Decider:
  """What `decider.Decider` is, by the demo's rule.

  The sum of the last 12 logits, whatever their times, has a largest one, of
  which `process_output` makes what is shown. An event is a stretch in which a
  gesture is shown.

  Attributes:
    label, score, probabilities: as those of `decider.Decider`.
  """

  def __init__(self, rule, labels):
    official_demo(labels)
    del rule  # the demo has nothing to choose
    self._number = [LABELS.index(label) for label in labels]
    self._start_anew()

  def _start_anew(self):
    self._logits = collections.deque(maxlen=_NUM_LOGITS)
    self._history = collections.deque([_NOTHING] * _LAST, maxlen=_LAST)
    self._start = self._last = self.probabilities = None
    self._scores = 0.0, 0
    self.label, self.score = '', 0.0

  def add(self, time, logits):
    """Takes the answer to a frame, see `decider.Decider.add`."""
    answers.check(time, logits, self._last, len(LABELS))
    ordered = np.empty(len(LABELS))
    ordered[self._number] = logits
    self._logits.append(ordered)
    total = np.sum(self._logits, axis=0)
    shown = process_output(int(total.argmax()), self._history)
    ended = self._close(time) if shown != self._history[-1] else ()
    self._history.append(shown)
    self._last = time
    probabilities = answers.softmax(total / len(self._logits))
    self.probabilities = probabilities[self._number]
    if shown == _NOTHING:
      self.label, self.score = '', 0.0
      return ended
    self.label, self.score = LABELS[shown], float(probabilities[shown])
    self._start = time if self._start is None else self._start
    self._scores = self._scores[0] + self.score, self._scores[1] + 1
    return ended

  def _close(self, time):
    start, (total, count) = self._start, self._scores
    self._start, self._scores = None, (0.0, 0)
    if start is None:
      return ()
    return (rules.Event(start, time, self.label, total / count, start),)

  def end(self, time=None):
    """Ends the stream, see `decider.Decider.end`."""
    last = self._last
    ended = self._close(last if time is None else max(time, last or 0))
    self._start_anew()
    return ended
