"""How fast a loop is, and what share of the time it waits for data."""

import contextlib
import time

import jax


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
