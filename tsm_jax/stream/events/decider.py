"""Turns the scores of one stream into events, as they come."""

import collections
import dataclasses

import numpy as np

from tsm_jax.stream.events import answers, demo, rules

# Times are sums of steps, which are not exact.
ROUNDING = 1e-6


def create(rule, labels):
  """What decides for one stream by a rule: a `Decider` or `demo.Decider`.

  Args:
    rule: a `rules.Rule`.
    labels: class names by index.

  Raises:
    InputError: if the rule is not one for these labels.
  """
  rules.check(rule, labels)
  if rule.preset:
    return demo.Decider(rule, labels)
  return Decider(rule, labels)


class Decider:
  """Decides which events there are in one stream, without looking ahead.

  The logits of the last `rule.window` seconds are averaged; a softmax makes
  them probabilities. An event of a class is a stretch of time in which its
  probability is at least `off`, but for gaps shorter than `merge_gap`. In it,
  the probability is at least `on` once, and it lasts `min_length` or longer.
  Classes are decided one by one, so that events of two may overlap.

  Memory is that of the answers in the window, and of open events.

  Attributes:
    label: the class that happens now, by what is decided; '' if there is none.
    score: its probability, else 0.
    probabilities: of all classes, averaged, float64 `[K]`; at first None.

  >>> rule = rules.Rule(window=0, min_length=0, merge_gap=0, shift_start=0)
  >>> decider = Decider(rule._replace(background=('idle',)), ['idle', 'wave'])
  >>> for time, wave in enumerate([-9, 9, 9, -9]):
  ...   events = decider.add(time, [0, wave])
  >>> [(e.start, e.end, e.label, e.decided) for e in events]
  [(1, 2.75, 'wave', 1)]
  """

  def __init__(self, rule, labels):
    self._rule, self._labels = rule, list(labels)
    self._on, self._off = np.array([rule.of(label) for label in labels]).T
    self._may_be = np.array([label not in rule.background for label in labels])
    self._answers = collections.deque()  # (time, logits) in the window
    self._open = {}  # by class
    self._first = self._last = None
    self.label, self.score, self.probabilities = '', 0.0, None

  def add(self, time, logits):
    """Takes the answer to a frame.

    Args:
      time: of the frame in seconds; later than that of the one before.
      logits: float `[K]`.

    Returns:
      A tuple of the events that have ended by now, by their start.

    Raises:
      InputError: if the time is not later, or a logit is no finite number.
    """
    self._smooth(time, logits)
    likely = self._may_be & (self.probabilities >= self._off)
    indices = sorted({*np.flatnonzero(likely).tolist(), *self._open})
    ended = [self._follow(index, time) for index in indices]
    self._show()
    return tuple(sorted(filter(None, ended)))

  def end(self, time=None):
    """Ends the stream, with all that is open; the next `add` begins another.

    Args:
      time: of the end in seconds; by default that of the last answer.

    Returns:
      A tuple of events, as of `add`.
    """
    ended = []
    for index, stretch in list(self._open.items()):
      late = self._rule.shift_end
      if stretch.end is None:  # it goes on to the end
        stretch.end = self._last if time is None else max(time, self._last)
        late = 0
      ended.append(self._event(index, late))
    self._answers.clear()
    self._first = self._last = self.probabilities = None
    self._show()
    return tuple(sorted(filter(None, ended)))

  def _smooth(self, time, logits):
    answers.check(time, logits, self._last, len(self._labels))
    if self._first is None:
      self._first = time
    self._last = time
    self._answers.append((time, np.asarray(logits, np.float64)))
    oldest = time - self._rule.window + ROUNDING
    while len(self._answers) > 1 and self._answers[0][0] <= oldest:
      self._answers.popleft()
    self.probabilities = answers.softmax(
      np.mean([logits for _, logits in self._answers], axis=0)
    )

  def _follow(self, index, time):
    """Goes on with one class; the event of it that has ended now, or None."""
    rule, probability = self._rule, self.probabilities[index]
    stretch, event = self._open.get(index), None
    if probability >= self._off[index]:
      if stretch and stretch.is_over(time, rule.merge_gap):
        stretch, event = None, self._event(index, rule.shift_end)
      stretch = stretch or self._open.setdefault(index, _Stretch(time))
      stretch.go_on(probability, probability >= self._on[index])
      if stretch.decided is None and stretch.is_event(time, rule.min_length):
        stretch.decided = time
    elif stretch:
      stretch.fall(time, probability)
      if stretch.is_over(time, rule.merge_gap):
        event = self._event(index, rule.shift_end)
    return event

  def _event(self, index, late):
    """Removes an open stretch; the event that it was, or None.

    Args:
      index: of the class.
      late: seconds by which the end is moved back.
    """
    stretch, rule = self._open.pop(index), self._rule
    if not stretch.is_event(stretch.end, rule.min_length):
      return None
    start = max(self._first, stretch.start - rule.shift_start)
    return rules.Event(
      start,
      max(start, stretch.end - late),
      self._labels[index],
      float(stretch.total / stretch.count),
      stretch.end if stretch.decided is None else stretch.decided,
    )

  def _show(self):
    decided = [
      (self.probabilities[index], -index)
      for index, stretch in self._open.items()
      if stretch.decided is not None
    ]
    self.score, index = max(decided, default=(0.0, None))
    self.score = float(self.score)
    self.label = '' if index is None else self._labels[-index]


@dataclasses.dataclass
class _Stretch:
  """Time in which a class is likely.

  Attributes:
    start, end: in seconds; `end` is None unless it fell, and may go on.
    reached: whether it has been as likely as an event must be.
    decided: since when it is sure to be an event, or None.
    total, count: sum and number of the probabilities from start to end.
    gap: the same of those since the end.
  """

  start: float
  end: float | None = None
  reached: bool = False
  decided: float | None = None
  total: float = 0.0
  count: int = 0
  gap: tuple[float, int] = (0.0, 0)

  def go_on(self, probability, reached):
    self.total += self.gap[0] + probability
    self.count += self.gap[1] + 1
    self.end, self.gap = None, (0.0, 0)
    self.reached |= bool(reached)

  def fall(self, time, probability):
    if self.end is None:
      self.end = time
    self.gap = self.gap[0] + probability, self.gap[1] + 1

  def is_over(self, time, merge_gap):
    return self.end is not None and time - self.end >= merge_gap - ROUNDING

  def is_event(self, time, min_length):
    return self.reached and time - self.start >= min_length - ROUNDING
