"""The frames of a video that comes through a pipe, as it comes."""

import contextlib
import io
import os
import select
import sys

from tsm_jax.data.clips import opening
from tsm_jax.data.sources import arguments
from tsm_jax.stream.frames import source

WAIT = 0.2  # seconds, after which a pipe that is silent asks whether to go on


def read(stopped=lambda: False):
  """The frames of standard input, of any length, in constant memory.

  The container need not be one that can be sought in: MPEG-TS, Matroska,
  fragmented MP4, YUV4MPEG. No frame is dropped: who writes waits.

  Args:
    stopped: whether to take what has come for all.

  Returns:
    A `source.Source`, as of `files.read`.

  Raises:
    InputError: if it is the keyboard, a text, or no readable video.
  """
  arguments.refuse_keyboard()
  pipe = _Pipe(sys.stdin.buffer, stopped)
  return source.Source(
    arguments.STANDARD_INPUT,
    opening.pipe(pipe),
    measure=lambda: (pipe.num_bytes, pipe.start),
  )


class _Pipe:
  """What FFmpeg reads; a signal ends it also while nothing comes.

  Attributes:
    num_bytes: that came.
    start: the first of them.
  """

  def __init__(self, file, stopped):
    self._file, self._stopped = file, stopped
    self._number = None
    self.num_bytes, self.start = 0, b''
    with contextlib.suppress(io.UnsupportedOperation):
      self._number = file.fileno()

  def read(self, size):
    data = self._wait(size)
    if data and not self.num_bytes:
      arguments.refuse_text(data)
    room = source.START - len(self.start)
    self.start += data[: max(room, 0)]
    self.num_bytes += len(data)
    return data

  def _wait(self, size):
    if self._number is None:
      return b'' if self._stopped() else self._file.read(size)
    while not self._stopped():
      if select.select([self._number], [], [], WAIT)[0]:
        return os.read(self._number, size)
    return b''
