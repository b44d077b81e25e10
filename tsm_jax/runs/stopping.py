"""How a run ends before its last step: signals, lost processes, exit statuses.

Several processes end together: none waits forever for one that is gone.
"""

import os
import signal
import sys
import threading
import time

import jax
from jax.experimental import multihost_utils

# The exit status of a run that is not at its end and goes on from its last
# checkpoint when the same command is started again: what a queue should do.
# (EX_TEMPFAIL of sysexits.h.) Where process 0 is killed, JAX may be faster and
# abort another one with its own message (SIGABRT): that is no other case.
EXIT_AGAIN = 75


def exit_status(number):
  """The exit status of a run that a signal has ended in order."""
  # Ctrl-C is of a person, and the run stays ended.
  return 128 + number if number == signal.SIGINT else EXIT_AGAIN


def first_line(error, limit=200):
  """What an exception says, short enough for a sentence."""
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0] if len(lines[0]) <= limit else f'{lines[0][:limit]} ...'


class Stop:
  """Notes SIGTERM and SIGINT while it is entered; a second one acts at once.

  Where several processes train, JAX tells all of them of a SIGTERM to one, and
  SIGINT is passed on as that.

  Attributes:
    signal: the `signal.Signals` that came, or None.
  """

  def __init__(self):
    self.signal = None
    self._asked = 0
    self._old = {}
    self._together = jax.process_count() > 1

  def reached(self):
    """Whether to stop now, alike on all processes, which must all ask.

    They agree on one of the next calls, counted from the first.
    """
    self._asked += 1
    if (
      self._together
      and not self.signal
      and multihost_utils.reached_preemption_sync_point(self._asked)
    ):
      self.signal = signal.SIGTERM
    return self.signal is not None

  def __enter__(self):
    # Among several processes, SIGTERM has JAX's own handler.
    numbers = [signal.SIGINT] + [signal.SIGTERM] * (not self._together)
    for number in numbers:
      self._old[number] = signal.signal(number, self._note)
    return self

  def _note(self, number, frame):
    del frame
    signal.signal(number, self._old[number])
    if self._together:
      os.kill(os.getpid(), signal.SIGTERM)
    else:
      self.signal = signal.Signals(number)

  def __exit__(self, *unused):
    for number, handler in self._old.items():
      signal.signal(number, handler)


class Watchdog:
  """Ends this process if there is no sign of progress for too long.

  A collective operation waits forever for a process that hangs. Nothing in
  Python can interrupt that, so the process ends at once, with `EXIT_AGAIN`.
  The first `beat` starts it. A single process waits for nobody and has none.
  """

  def __init__(self, seconds):
    """Watches with this limit in seconds; 0 is none."""
    self._seconds = seconds if jax.process_count() > 1 else 0
    self._last = None
    self._done = threading.Event()

  def beat(self):
    """A step has ended."""
    if self._seconds and self._last is None:
      threading.Thread(target=self._watch, daemon=True).start()
    self._last = time.monotonic()

  def _watch(self):
    while not self._done.wait(min(1.0, self._seconds / 4)):
      if time.monotonic() - self._last > self._seconds:
        end(
          f'nothing moved for {self._seconds:g} s (stall_seconds): another '
          'process hangs or cannot be reached'
        )

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._done.set()


def is_lost(error):
  """Whether an error of JAX comes from a process that is gone."""
  words = ('gloo', 'connection', 'coordination', 'unavailable', 'heartbeat')
  text = str(error).lower()
  return jax.process_count() > 1 and any(word in text for word in words)


def end(reason):
  """Ends this process at once with a sentence, for it lost the others."""
  print(file=sys.stderr)  # after a progress bar
  exit_again(
    f'Process {jax.process_index()} of {jax.process_count()} ends, as '
    f'{reason}; start all of them again to continue from the last checkpoint.'
  )


def exit_again(message):
  """Ends this process at once with a message and the status EXIT_AGAIN."""
  print(f'error: {message}', file=sys.stderr, flush=True)
  # What runs at a normal exit would wait for the others.
  os._exit(EXIT_AGAIN)
