"""One viewer between the thread that talks to it and the one that steps."""

import time

from tsm_jax.serve import pictures
from tsm_jax.stream.frames import due, pace

MOST_UNSENT = 4  # answers; then a viewer's pictures wait
TOP = 10  # labels of an answer


class Viewer:
  """Somebody who sends pictures and is told what the model says.

  The first methods are called under the lock of `slots.Slots`, the others by
  the thread that steps. Only the newest picture waits.

  Attributes:
    name: of the stream in the session.
    tell: see `slots.Slots.enter`.
    unsent: answers that are not sent yet.
    dropped: steps whose picture was replaced by a newer one, or by a restart.
  """

  def __init__(self, name, tell, interval):
    """Begins a stream; `interval` is seconds between two steps."""
    self.name, self.tell = name, tell
    self.unsent = self.dropped = 0
    self._interval, self._pace = interval, pace.Pace(interval)
    self._waiting = None  # (jpeg, time, steps, when it came)
    self._restarts = 0  # that it has not been told of
    self._ending = self._ended = False
    # Of the thread that steps:
    self.image = None
    self._times = []  # of steps that show the image
    self._last = None  # time of a step
    self._events = []
    self._came = 0.0

  def show(self, jpeg, seconds):
    """Lets a picture wait, if it is due; the number of steps it replaces."""
    steps = self._pace.take(seconds)
    if not steps or self._ending or self._ended:
      return 0
    missed = self._drop()
    self._waiting = jpeg, seconds, steps, time.monotonic()
    return missed

  def restart(self):
    """Begins another stream; the number of steps that no picture shows."""
    self._pace.restart()
    self._restarts += 1
    return self._drop()

  def end(self):
    """Ends after the picture that waits."""
    self._ending = not self._ended

  def is_due(self):
    """Whether there is something to do for it, and it listens."""
    if self.unsent >= MOST_UNSENT:
      return False
    return bool(self._restarts or self._ending or self._times or self._waiting)

  def turn(self):
    """What to do for it now: `(restarts, picture, end)`."""
    restarts, self._restarts = self._restarts, 0
    going_on = self._times and not restarts
    picture = None
    if not going_on:
      picture, self._waiting = self._waiting, None
    end = self._ending and not going_on and not picture
    if end:
      self._ending, self._ended = False, True
    return restarts, picture, end

  def _drop(self):
    missed, self._waiting = self._waiting[2] if self._waiting else 0, None
    self.dropped += missed
    return missed

  def begin(self):
    """Forgets the stream so far; its events that were not told."""
    events, self._events = self._events, []
    self._times, self._last = [], None
    return events

  def take(self, jpeg, seconds, steps, came):
    """Decodes a picture that is to be shown.

    Raises:
      Closing: if it is damaged.
    """
    self.image = pictures.decode(jpeg)
    self._times = due.spread(self._last, seconds, steps, self._interval)
    self._came = came

  def next_time(self):
    """The time in seconds at which the image is shown, or None."""
    return self._times[0] if self._times else None

  def answer(self, answer):
    """What to tell of an `Answer` to the image: a dict, or None for nothing.

    The last of an image's steps is told, and the events of all.
    """
    self._last = self._times.pop(0)
    self._events += answer.events
    if self._times:
      return None
    best = (-answer.probabilities).argsort(kind='stable')[:TOP]
    events, self._events = self._events, []
    return {
      'time': self._last,
      'label': answer.label,
      'score': answer.score,
      'top': [[int(i), float(answer.probabilities[i])] for i in best],
      'events': as_dicts(events),
      'dropped': self.dropped,
    }

  def waited(self):
    """Seconds since the image came."""
    return time.monotonic() - self._came


def as_dicts(events):
  """Events of a rule for JSON."""
  return [event._asdict() for event in events]
