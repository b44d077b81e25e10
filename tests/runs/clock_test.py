import pytest

from tsm_jax.runs import clock


@pytest.fixture
def now(monkeypatch):
  """The time in seconds, which passes only where a test says so."""
  time = [50.0]
  monkeypatch.setattr(clock.time, 'perf_counter', lambda: time[0])
  return time


def batches(now, seconds):
  while True:
    now[0] += seconds
    yield {}


class Computing:
  """An array that a device needs some seconds for."""

  def __init__(self, now, seconds):
    self._now = now
    self._seconds = seconds

  def block_until_ready(self):
    self._now[0] += self._seconds
    return self


def test_rates_count_training_alone(now):
  speed, source = clock.Clock(), batches(now, 1)
  for _ in range(3):
    speed.batch(source)
    now[0] += 2
  with speed.paused({'x': Computing(now, 4)}):  # the steps' work, not done yet
    now[0] += 1000
  speed.batch(source)
  now[0] += 2
  seconds = 4 * (1 + 2) + 4
  assert speed.rates(8) == {
    'steps_per_s': 4 / seconds,
    'clips_per_s': 32 / seconds,
    'data_wait': 4 / seconds,
  }
  speed.batch(source)
  assert speed.rates(8)['data_wait'] == 1  # since the last look
