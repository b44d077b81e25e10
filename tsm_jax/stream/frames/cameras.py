"""Frames of cameras, which may stall or go away, and are taken up again."""

import dataclasses
import time

from tsm_jax import errors

STALL = 10.0  # seconds without a frame, after which a camera counts as away
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two tries
_WAIT = 0.1  # seconds, after which a pause asks whether to go on


class Camera:
  """The frames of a live source; an iterator and context manager.

  Where it ends, fails or stalls, it is opened again, after pauses that grow.
  Times are seconds since the first frame: by the camera's clock while it is
  there, by the clock of this machine over the time that it was away.

  Attributes:
    name: to call it by.
    rate: frames per second that it states, or 0.
    length: 0, as there is no end.
    damage: '', as a camera's losses are no damage to a file.
  """

  length, damage = 0.0, ''

  def __init__(self, name, connect, stopped, log):
    """Opens it for the first time.

    Args:
      name: to call it by.
      connect: opens it and returns a `source.Source`, or what is used of one:
        an iterator of frames with `rate`, `notes`, `ending` and `close`.
      stopped: whether to end now.
      log: called with a sentence when it goes away and when it is back.

    Raises:
      InputError: of `connect`, now only.
    """
    self.name = name
    self._connect, self._stopped, self._log = connect, stopped, log
    self._source = connect()
    self.rate = self._source.rate
    self._pause = FIRST_PAUSE
    self._frames = self._read()

  @property
  def notes(self):
    """As of `source.Source`."""
    return self._source.notes

  def __iter__(self):
    return self

  def __next__(self):
    return next(self._frames)

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  def close(self):
    """Closes it; not while another thread waits for its next frame."""
    self._source.close()

  def _read(self):
    begun = lost = None  # by the clock of this machine
    latest = 0.0
    while True:
      offset, reason = None, []
      last = seen = 0.0  # the frame before: by both clocks
      for frame in self._received(reason):
        anew = offset is None and begun is not None
        now = time.monotonic()
        if offset is None:
          begun = now if begun is None else begun
          # A camera's clock may be ahead, as it sends what it has kept.
          offset = max(now - begun, latest) - frame.time
          self._pause = FIRST_PAUSE
        elif frame.time - last > now - seen + STALL:
          self._log(f'The clock of {self.name} was set; this is passed over.')
          offset = latest + now - seen - frame.time
        last, seen = frame.time, now
        if anew:
          self._log(f'{self.name} is back after {now - lost:.0f} s.')
        latest = max(latest, frame.time + offset)
        yield dataclasses.replace(frame, time=latest, anew=anew)
      if self._stopped():
        return
      if begun is None:
        raise errors.InputError(f'{self.name!r}: no frame came ({reason[0]}).')
      if offset is not None:
        lost = time.monotonic()
        self._log(f'{self.name} {reason[0]}; it is taken up when it is back.')
      self._open_again()

  def _received(self, reason):
    """The frames until it is away; `reason` takes why."""
    try:
      yield from self._source
      reason.append(self._source.ending or 'has ended')
    except errors.InputError as error:
      reason.append(f'fails: {error}')

  def _open_again(self):
    self._source.close()
    while not self._stopped():
      self._rest()
      try:
        self._source = self._connect()
        return
      except errors.InputError:
        pass  # it is still away

  def _rest(self):
    end = time.monotonic() + self._pause
    self._pause = min(2 * self._pause, LONGEST_PAUSE)
    while time.monotonic() < end and not self._stopped():
      time.sleep(_WAIT)
