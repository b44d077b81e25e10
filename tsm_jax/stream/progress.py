"""How far a stream is, on one line of a terminal."""

import sys
import time

import psutil
from tqdm import auto as tqdm

from tsm_jax import errors

_LONG = '{desc}: {n:.0f} of {total:.0f} s [{bar}]{postfix}, {remaining} left'
EARLY = 300.0  # seconds of a stream, after which its memory is noted
_ENDLESS = '{desc}: {n:.0f} s{postfix}'


class Progress:
  """Seconds of a stream, how much faster than it they are computed, and ETA.

  It is shown on a terminal only.
  """

  def __init__(self, name, length=0.0):
    """Starts to show it.

    Args:
      name: of the stream.
      length: of it in seconds, 0 if it is not known.
    """
    self._bar = tqdm.tqdm(
      desc=errors.printable(name),
      total=length or None,
      bar_format=_LONG if length else _ENDLESS,
      leave=False,
      disable=None,
      dynamic_ncols=True,
    )
    self._start = time.monotonic()
    self._early_memory = self._last_memory = 0
    self.seconds = 0.0

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._last_memory = _memory()
    self._bar.close()

  def speed(self):
    """Seconds of the stream per second of computing."""
    return self.seconds / max(time.monotonic() - self._start, 1e-9)

  def reach(self, seconds, dropped=0):
    """The stream is at this second; so many of its steps were dropped."""
    done, self.seconds = seconds - self.seconds, seconds
    words = f'{self.speed():.1f}x realtime'
    if dropped:
      words += f', {dropped} dropped'
    self._bar.set_postfix_str(words, refresh=False)
    if self._bar.total and seconds > self._bar.total:
      self._bar.total = seconds  # the file stated too little
    self._bar.update(done)
    if seconds >= EARLY and not self._early_memory:
      self._early_memory = _memory()

  def memory(self):
    """What this process took early and took at the end, in words, or ''."""
    if not self._early_memory:
      return ''
    early, last = (
      f'{x / 2**20:.0f} MB' for x in (self._early_memory, self._last_memory)
    )
    return f'{early} of memory after {EARLY / 60:g} min and {last} at the end'


def _memory():
  return psutil.Process().memory_info().rss


def show(line):
  """Prints a line on standard output, above what shows the progress."""
  tqdm.tqdm.write(line, file=sys.stdout)
  sys.stdout.flush()


def log(line):
  """Prints a line on standard error, above what shows the progress."""
  tqdm.tqdm.write(errors.printable(line), file=sys.stderr)
