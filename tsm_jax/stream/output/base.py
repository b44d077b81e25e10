"""What every output of a stream is told, and where it writes."""

import contextlib
import os

from tsm_jax import errors, files


class Output:
  """Is told what comes of a stream, in order; the methods do nothing."""

  def frame(self, frame, label, score):
    """A `frames.timed.Frame` with what goes on in it, '' for nothing."""

  def answer(self, time, answer):
    """The `session.Answer` of a step at `time`, seconds."""

  def event(self, event):
    """A `rules.Event` that has ended."""

  def close(self):
    """The stream has ended, or was ended; what was told is kept."""


class TextFile(Output):
  """A file that is written line by line, so that it is whole at any time."""

  def __init__(self, path):
    """Creates it.

    Raises:
      InputError: if it cannot be written.
    """
    check(path)
    # Names of files need not be UTF-8: they are written as they are.
    self._file = open(  # noqa: SIM115
      path, 'w', encoding='utf-8', errors='surrogateescape', newline=''
    )

  def close(self):
    self._file.close()

  def write(self, text):
    if self._file.closed:  # it failed, which was said
      return
    try:
      self._file.write(text)
      self._file.flush()
    except OSError as error:  # as on a full disk; it names no file
      with contextlib.suppress(OSError):
        self._file.close()
      raise errors.InputError(
        f'{self._file.name!r} cannot be written: {error.strerror}.'
      ) from error


def check(path):
  """Raises InputError if no local file can be written there."""
  if files.is_remote(path):
    raise errors.InputError(
      f'{path!r} is in a bucket, where nothing can be written bit by bit; '
      'choose a local file.'
    )
  folder = os.path.dirname(os.path.abspath(path))
  if not os.path.isdir(folder):
    raise errors.InputError(
      f'{path!r} cannot be written: there is no folder {folder!r}.'
    )
  if os.path.isdir(path):
    raise errors.InputError(f'{path!r} is a folder; give the path of a file.')
