"""What fails once for a reason that is not in the file is tried again."""

import os
import signal
import time

import pytest

from tsm_jax import errors
from tsm_jax.data.clips import opening, workers


def die_once(path):
  """Stands for a decoder that the system kills for want of memory."""
  if not os.path.exists(path):
    open(path, 'x').close()
    os.kill(os.getpid(), signal.SIGKILL)
  return os.path.basename(path)


def die(number):
  if number:
    os.kill(os.getpid(), number)
  return 'fine'


def hang_once(path):
  """Stands for a machine that is suspended for a while."""
  if not os.path.exists(path):
    open(path, 'x').close()
    time.sleep(60)
  return os.path.basename(path)


def miss_once(path):
  """Stands for a disk of a network that is away for a moment."""
  if not os.path.exists(path):
    open(path, 'x').close()
    raise opening.PassingError('file does not exist')
  return os.path.basename(path)


def miss(path):
  raise opening.PassingError('file does not exist')


def test_a_process_killed_once_costs_no_result(tmp_path):
  paths = [str(tmp_path / str(i)) for i in range(4)]
  for path in paths[1:]:
    open(path, 'x').close()
  with workers.Workers(die_once, 1) as pool:
    assert list(pool.outcomes(paths)) == [(str(i), '') for i in range(4)]


def test_too_long_a_time_is_tried_again(tmp_path):
  with workers.Workers(hang_once, 1, limit=0.5) as pool:
    assert list(pool.outcomes([str(tmp_path / 'a')])) == [('a', '')]


def test_a_kill_from_outside_is_not_the_fault_of_the_file():
  kill, other = int(signal.SIGKILL), int(signal.SIGUSR1)
  with workers.Workers(die, 1) as pool:
    (_, killed), fine, (_, crashed) = pool.outcomes([kill, 0, other])
  assert killed == 'cannot be read now: its process was killed twice (SIGKILL)'
  assert workers.is_passing(killed)
  assert fine == ('fine', '')
  assert crashed == workers.CRASHED and not workers.is_passing(crashed)


def test_a_file_missing_for_a_moment(tmp_path, monkeypatch):
  monkeypatch.setattr(workers, 'PAUSE', 0)
  path = str(tmp_path / 'a')
  with workers.Workers(miss_once, 0) as pool:
    assert list(pool.outcomes([path])) == [('a', '')]
  with workers.Workers(miss, 0) as pool:
    ((result, reason),) = pool.outcomes([path])
  assert result is None and reason == 'cannot be read now: file does not exist'
  assert workers.is_passing(reason)


class Killed:
  """Stands for the start of a process that the system kills."""

  def __init__(self, mark, times):
    self.mark, self.times = mark, times

  def __call__(self, argument):
    return argument

  def __reduce__(self):  # runs where it is unpickled, before the process is up
    return _killed, (self.mark, self.times)


def _killed(mark, times):
  count = len(os.listdir(mark))
  if count < times:
    open(os.path.join(mark, str(count)), 'x').close()
    os.kill(os.getpid(), signal.SIGKILL)
  return Killed(mark, times)


def test_a_process_killed_while_it_starts(tmp_path):
  with workers.Workers(Killed(str(tmp_path), 2), 1) as pool:
    assert list(pool.outcomes([7])) == [(7, '')]
  with (
    workers.Workers(Killed(str(tmp_path), 99), 1) as pool,
    pytest.raises(
      errors.InputError, match=r'it is killed by SIGKILL .* enough memory\?$'
    ),
  ):
    list(pool.outcomes([7]))
