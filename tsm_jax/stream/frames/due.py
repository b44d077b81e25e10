"""Which frames of a source are shown, and how often."""

import threading

WAIT = 0.2  # seconds, after which one who waits asks whether to go on
LAST_WAIT = 2.0  # seconds for a camera's last frame, before it is left alone


def spread(last, time, count, interval):
  """The times of `count` steps that show the frame of `time`.

  They grow, as those of a stream must, and end with that of the frame. After a
  gap, in which nobody knew of the frame, they are not spread all over it.

  Args:
    last: time of the step before, or None.
    time: of the frame, in seconds.
    count: number of steps.
    interval: seconds that two of them are apart at most.

  >>> spread(1.0, 2.0, 2, 0.5), spread(None, 2.0, 1, 0.5)
  ([1.5, 2.0], [2.0])
  >>> spread(1.0, 100.0, 3, 0.5)
  [99.0, 99.5, 100.0]
  """
  if last is None:
    return [time] * min(count, 1)
  apart = min((time - last) / max(count, 1), interval)
  return [time - apart * (count - 1 - i) for i in range(count)]


class Paced:
  """Every frame of a source that waits for who reads: a file or a pipe.

  An iterator of `(frame, count)`: a `timed.Frame`, and the number of steps
  that show it, 0 where it is passed over.

  Attributes:
    source: of the frames.
    pace: the `pace.Pace`.
    dropped: steps without their frame: none.
  """

  dropped = 0

  def __init__(self, source, pace, stopped=lambda: False):
    """Reads nothing yet.

    Args:
      source: iterates over `timed.Frame`.
      pace: a `pace.Pace`.
      stopped: whether to take what has come for all.
    """
    self.source, self.pace, self._stopped = source, pace, stopped

  def __iter__(self):
    return self

  def __next__(self):
    if self._stopped():
      raise StopIteration
    frame = next(self.source)
    if frame.anew:
      self.pace.restart()
    return frame, self.pace.take(frame.time)

  def close(self):
    self.source.close()


class Newest:
  """The frames of a live source that are due; only the newest one waits.

  A thread reads. A frame that is due while the one before still waits takes
  its place, so that no queue grows and no answer is late. An iterator as
  `Paced`, without the frames that are passed over.

  Attributes:
    source: of the frames.
    pace: the `pace.Pace`.
    dropped: steps so far whose frame was replaced.
  """

  def __init__(self, source, pace, stopped=lambda: False):
    """Starts to read; the arguments are those of `Paced`."""
    self.dropped = 0
    self.source, self.pace, self._stopped = source, pace, stopped
    self._waiting, self._error = None, None
    self._ended = self._closed = False
    self._changed = threading.Condition()
    paced = Paced(source, pace, lambda: self._closed or stopped())
    self._thread = threading.Thread(
      target=self._read, args=(paced,), daemon=True
    )
    self._thread.start()

  def __iter__(self):
    return self

  def __next__(self):
    with self._changed:
      while self._waiting is None:
        if self._error:
          raise self._error
        if self._ended or self._stopped():
          raise StopIteration
        self._changed.wait(WAIT)
      found, self._waiting = self._waiting, None
      return found

  def close(self):
    self._closed = True
    self._thread.join(LAST_WAIT)
    if not self._thread.is_alive():  # else it waits for a silent camera
      self.source.close()

  def _read(self, paced):
    try:
      for frame, count in paced:
        if count:
          self._put(frame, count)
    except Exception as error:  # of the one who waits
      self._error = error
    with self._changed:
      self._ended = True
      self._changed.notify()

  def _put(self, frame, count):
    with self._changed:
      if self._waiting is not None:
        old, missed = self._waiting
        self.dropped += missed
        frame = frame.after(old)
      self._waiting = frame, count
      self._changed.notify()
