import importlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tsm_jax import errors
from tsm_jax.data.clips import workers


def square_or_crash(number):
  """Stands for a decoder that ends its process on some files."""
  if number in (3, 4):
    os._exit(1)
  if number == 5:
    raise errors.InputError('a reason')
  if number == 6:
    raise KeyError(6)
  return number * number


def leave_a_mark(path):
  if path.endswith('/0'):
    time.sleep(0.5)
  open(path, 'x').close()
  return path


@pytest.mark.parametrize('size', [1, 2])
def test_only_what_crashes_is_blamed(size):
  with workers.Workers(square_or_crash, size) as pool:
    results = list(pool.outcomes(list(range(9))))
    again = list(pool.outcomes([2, 3]))
  expected = [(i * i, '') for i in range(9)]
  expected[3] = expected[4] = (None, workers.CRASHED)
  expected[5] = (None, 'a reason')
  expected[6] = (None, 'KeyError: 6')
  assert results == expected
  assert again == [(4, ''), (None, workers.CRASHED)]


def test_without_processes_it_works_in_this_one():
  with workers.Workers(square_or_crash, 0) as pool:
    assert list(pool.outcomes([2, 5, 6])) == [
      (4, ''),
      (None, 'a reason'),
      (None, 'KeyError: 6'),
    ]
  with workers.Workers(process, 0) as pool:
    assert list(pool.outcomes([0])) == [(os.getpid(), '')]


@pytest.mark.usefixtures('processes')
def test_there_is_one_for_each_core_where_none_is_asked_for(monkeypatch):
  monkeypatch.setattr(os, 'cpu_count', lambda: 1)
  with workers.Workers(process) as pool:
    (one, _), (other, _) = pool.outcomes([0, 1])
  assert one == other != os.getpid()


def process(unused):
  return os.getpid()


def test_only_a_few_are_in_work_ahead_of_the_reader(tmp_path):
  paths = [str(tmp_path / str(i)) for i in range(40)]
  with workers.Workers(leave_a_mark, 2) as pool:
    results = pool.outcomes(paths)
    # While the first takes long, the other process does what it may: no more
    # than twice as many as there are processes.
    assert next(results) == (paths[0], '')
    time.sleep(0.1)
    assert 2 <= len(list(tmp_path.iterdir())) <= 4
    assert [path for path, _ in results] == paths[1:]


def test_a_reader_may_leave(tmp_path):
  paths = [str(tmp_path / str(i)) for i in range(40)]
  with workers.Workers(leave_a_mark, 2) as pool:
    first = pool.outcomes(paths)
    next(first)
    first.close()
    other = str(tmp_path / 'other')
    assert list(pool.outcomes([other])) == [(other, '')]


def sleep(seconds):
  time.sleep(seconds)
  return seconds


def test_what_hangs_is_given_up():
  with workers.Workers(sleep, 2, limit=2) as pool:
    assert list(pool.outcomes([0, 60, 0.1])) == [
      (0, ''),
      (None, 'took longer than 2 s'),
      (0.1, ''),
    ]


def test_nothing_to_do():
  with workers.Workers(square_or_crash, 1) as pool:
    assert list(pool.outcomes([])) == []


def test_an_unguarded_script_works(tmp_path):
  script = tmp_path / 'unguarded.py'
  script.write_text(
    textwrap.dedent("""
      import sys
      print('the script runs', __name__, 'numpy' in sys.modules)
      from tsm_jax.data.clips import workers
      with workers.Workers(abs, 2) as pool:
        print(list(pool.outcomes([-1, -2])))
    """)
  )
  done = subprocess.run(
    [sys.executable, script],
    timeout=60,
    capture_output=True,
    text=True,
    env={**os.environ, 'PYTHONPATH': os.getcwd()},
  )
  assert done.stdout.splitlines() == [
    'the script runs __main__ False',
    "[(1, ''), (2, '')]",
  ], done.stderr


def raise_if_interrupted(unused):
  os.kill(os.getpid(), signal.SIGINT)  # as a terminal does to all of a group
  return 'goes on'


def test_an_interruption_is_left_to_the_program():
  with workers.Workers(raise_if_interrupted, 1) as pool:
    assert list(pool.outcomes([0])) == [('goes on', '')]
  assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT}


def test_a_process_that_cannot_start_is_a_sentence(capfd):
  with (
    workers.Workers(Nowhere(), 1) as pool,
    pytest.raises(errors.InputError, match='with status 1, and says above why'),
  ):
    list(pool.outcomes([0]))
  assert 'No module named' in capfd.readouterr().err


class Nowhere:
  """Stands for a function whose module the process cannot import."""

  def __reduce__(self):
    return importlib.import_module, ('no_such_module',)
