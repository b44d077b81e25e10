"""How fast a loop is, what it waits for, and when it is asked to stop."""

import contextlib
import os
import signal
import time

import jax
from jax.experimental import multihost_utils
import numpy as np

from tsm_jax import errors


def plan_steps(config, num_clips):
  """`(steps_per_epoch, total_steps)`; the former may be fractional."""
  for field in ('epochs', 'log_every_steps'):
    if config[field] <= 0:
      raise errors.InputError(
        f'{field} is {config[field]}; it must be above 0.'
      )
  steps_per_epoch = num_clips / config.batch_size
  return steps_per_epoch, max(1, round(config.epochs * steps_per_epoch))


class Clock:
  """Speed since the last look, and the share of it spent waiting for data."""

  def __init__(self):
    self._restart()

  def _restart(self):
    self._start = time.perf_counter()
    self._waited = 0.0
    self._steps = 0

  def batch(self, batches):
    """The next batch, of the next step; its time counts as waiting for data."""
    start = time.perf_counter()
    batch = next(batches)
    self._waited += time.perf_counter() - start
    self._steps += 1
    return batch

  @contextlib.contextmanager
  def paused(self, state):
    """What is done inside does not count; what computes `state` does."""
    jax.block_until_ready(state)
    start = time.perf_counter()
    yield
    self._start += time.perf_counter() - start

  def rates(self, batch_size):
    """steps/s, clips/s and the share of waiting since the last call."""
    seconds = time.perf_counter() - self._start
    rates = {
      'steps_per_s': self._steps / seconds,
      'clips_per_s': self._steps * batch_size / seconds,
      'data_wait': self._waited / seconds,
    }
    self._restart()
    return rates


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


def check_finite(window):
  """Raises InputError when training has diverged within these steps."""
  for values in window:
    if not np.isfinite(values['loss']):
      raise errors.InputError(
        f'The loss became {values["loss"]}: training diverged; lower '
        'base_learning_rate or set optimizer.clip_norm. The last checkpoint is '
        'from before.'
      )


def fetch(window):
  """Brings the metrics of a list of steps to the host, in place."""
  for i, values in enumerate(window):
    window[i] = {name: float(value) for name, value in values.items()}


def means(window):
  """The mean of every metric over a list of steps."""
  fetch(window)
  return {
    name: float(np.mean([values[name] for values in window]))
    for name in window[0]
  }
