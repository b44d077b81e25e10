"""Frames of an open container, one at a time, with their seconds."""

import contextlib
import functools
import math

import av

from tsm_jax import errors
from tsm_jax.data.clips import containers, opening, player, videos
from tsm_jax.stream.frames import cut, timed

# Seconds that times may go back before they are taken for another count, as
# where recordings were put together.
BACK = 0.3
START = 200  # bytes, in which a file says of what kind it is


class Source:
  """The frames of a container in order, past its damaged packets.

  An iterator of `timed.Frame` and a context manager. It keeps no frame, so
  that its memory does not grow. Pictures are turned and mirrored as the first
  frame states it. It closes itself at its end.

  Attributes:
    name: to call it by.
    rate: frames per second that it states, or 0.
    length: seconds that it states, or 0.
    notes: sentences about what was odd so far, as a change of the size; the
      caller may take them out.
    damage: what is broken, complete after the last frame, else ''.
  """

  def __init__(self, name, opened, path=None, measure=None):
    """Opens it.

    Args:
      name: to call it by.
      opened: a context that gives an open `av.container.InputContainer`.
      path: of the file, None of a stream.
      measure: returns at the end how many bytes there were, and the first
        `START` of them; None if that says nothing.

    Raises:
      InputError: if it is no readable video; the message begins with the name.
    """
    self.name, self.damage, self.notes = name, '', []
    self._path, self._measure = path, measure
    self._stack = contextlib.ExitStack()
    with self._named():
      self._container = self._stack.enter_context(opened)
      self._player = player.Player(self._container)
    self.rate = self._player.rate
    self.length = float((self._container.duration or 0) / av.time_base)
    self._span = containers.Span()
    self._failures, self._num_concealed = [], 0
    self._frames = self._read()

  def __iter__(self):
    return self

  def __next__(self):
    with self._named():
      return next(self._frames)

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  def close(self):
    """Closes it before its end; it may be called again."""
    with self._named():
      self._frames.close()
      self._stack.close()

  @contextlib.contextmanager
  def _named(self):
    try:
      yield
    except opening.VideoError as error:
      self._stack.close()
      raise errors.InputError(f'{self.name!r}: {error}.') from error

  def _read(self):
    shown, size, clock = self._player, None, None
    for frame, start, end, stated, *_ in shown:
      self._note_failures()
      self._num_concealed += frame.is_corrupt
      self._span = self._span.add(float(start) if stated else math.nan)
      # Cameras often leave out the time of the first frame, which is then 0.
      clock = clock or _Clock(shown.beginning if stated else 0.0)
      size, old = (frame.width, frame.height), size
      time = clock.read(float(start), float(end))
      if old and size != old:
        self.notes.append(
          f'the size of its pictures changes from {"x".join(map(str, old))} to '
          f'{"x".join(map(str, size))} at {time:.1f} s'
        )
      yield timed.Frame(time, functools.partial(self._image, frame))
    self._note_failures()
    self._finish()

  def _image(self, frame):
    # Not scaled to the first one's size: its sides may have other shares.
    self._player.size = frame.width, frame.height
    return self._player.image(frame)

  def _note_failures(self):
    """Keeps a bounded number, as a stream has no end; many in a row end it."""
    room = player.MAX_FAILURES - len(self._failures)
    self._failures += [f.reason for f in self._player.failures[:room]]
    self._player.failures.clear()

  def _finish(self):
    if not self._span.count:
      if self._path is None and 'mp4' in self._container.format.name:
        raise opening.VideoError(opening.NO_INDEX)
      reason = f': {self._failures[0]}' if self._failures else ''
      raise opening.NoFrameError(f'no frame decodes{reason}')
    claimed = videos.claims(
      self._path, self._container, self._player, self._span
    )
    self.damage, _ = containers.damage(
      claimed, self.rate, self._span, self._failures
    )
    if self._num_concealed and not self.damage:
      self.damage = (
        f'{self._num_concealed} of {self._span.count} frames are damaged'
      )
    if self._measure and not self.damage:
      self.damage = cut.reason(
        self._container, self._player.stream, *self._measure()
      )
    self._stack.close()


class _Clock:
  """Seconds since a beginning; where they go far back, they are joined on."""

  def __init__(self, beginning):
    self._offset = -float(beginning)
    self._last, self._end = 0.0, 0.0

  def read(self, start, end):
    """The seconds of a frame that is shown from `start` to `end`."""
    if start + self._offset < self._last - BACK:
      self._offset = self._end - start
    self._last = max(self._last, start + self._offset)
    self._end = max(self._end, end + self._offset)
    return self._last
