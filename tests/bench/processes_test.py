import ctypes
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import types

import psutil
import pytest

from tsm_jax import allocation, errors
from tsm_jax.bench import interleave, processes


def work(rival):
  """In the process of a contender."""
  if rival.title == 'refused':
    raise errors.InputError('field is 1; it must be 2.')
  if rival.title == 'missing':
    raise ImportError('No module named this.')
  if rival.title == 'killed':
    os._exit(1)
  return {rival.title: os.environ.get('OMP_NUM_THREADS')}


def who(title, number):
  return title, number, os.getpid()


def end(title):
  os._exit(1)


def rivals(*titles):
  return [types.SimpleNamespace(title=title) for title in titles]


def test_contenders_have_processes_and_threads_of_their_own(monkeypatch):
  monkeypatch.setenv('OMP_NUM_THREADS', '7')
  names = 'one', 'refused', 'missing', 'killed', 'two'
  with processes.opened(3) as open_process:
    opened, facts, left_out = processes.prepare(
      rivals(*names), work, open_process
    )
    turns = processes.turns(opened, who, 5)
    found = interleave.measure(turns, 2)
  assert os.environ['OMP_NUM_THREADS'] == '7'
  assert facts == {'one': {'one': '3'}, 'two': {'two': '3'}}
  assert left_out == {
    'refused': 'field is 1; it must be 2.',
    'missing': 'No module named this.',
    'killed': 'its process was ended, perhaps for lack of memory.',
  }
  ids = {title: {pid for *_, pid in values} for title, values in found.items()}
  assert [len(pids) for pids in ids.values()] == [1, 1]
  assert len({os.getpid(), *ids['one'], *ids['two']}) == 3
  assert found['two'][0][:2] == ('two', 5)


def test_contenders_may_share_a_process():
  with processes.opened(shared=True) as open_process:
    opened, *_ = processes.prepare(rivals('one', 'two'), work, open_process)
    found = [turn() for turn in processes.turns(opened, who, 0).values()]
  assert [title for title, *_ in found] == ['one', 'two']
  assert found[0][2] == found[1][2] != os.getpid()


def test_a_process_that_ends_between_turns_is_named():
  with processes.opened() as open_process:
    opened, *_ = processes.prepare(rivals('one'), work, open_process)
    turn = processes.turns(opened, end)['one']
    with pytest.raises(errors.InputError, match='The process of one was ended'):
      turn()


def heaps(path):
  """How many heaps glibc has, once threads of this process took memory."""
  allocation.keep_freed()
  libc = ctypes.CDLL(None)
  libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
  for _ in range(4):
    thread = threading.Thread(target=libc.malloc, args=(2**20,))
    thread.start()
    thread.join()
  file = ctypes.c_void_p(libc.fopen(bytes(path), b'w'))
  libc.malloc_info(0, file)
  libc.fclose(file)
  return path.read_text().count('<heap nr=')


@pytest.mark.skipif(
  platform.libc_ver()[0] != 'glibc', reason='other allocators are left alone'
)
def test_threads_of_a_contender_find_the_memory_that_others_freed(
  tmp_path, monkeypatch
):
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  for name in [x for x in os.environ if x.startswith(('MALLOC_', 'GLIBC_T'))]:
    monkeypatch.delenv(name)
  with processes.opened() as open_process:
    found = open_process().submit(heaps, tmp_path / 'heaps.xml').result()
  assert found == 1


KILLED = """
import os, signal
from tsm_jax.bench import processes
if __name__ == '__main__':
  with processes.opened() as open_process:
    print(open_process().submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nobody_stays_behind_a_killed_parent(tmp_path):
  script = tmp_path / 'killed.py'
  script.write_text(KILLED)
  done = subprocess.run(
    [sys.executable, script], capture_output=True, text=True
  )
  assert done.returncode == -signal.SIGKILL
  pid = int(done.stdout)
  for _ in range(300):
    if not psutil.pid_exists(pid):
      return
    time.sleep(0.1)
  pytest.fail('the process of the contender is still there')
