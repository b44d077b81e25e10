"""Contenders that take turns, each in a process of its own.

All are open at once; while one runs, the others sleep. Libraries that would
share threads, memory or settings do not meet.
"""

from concurrent import futures
import contextlib
import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading

from tsm_jax import errors

_SIGNAL_AT_PARENTS_END = 1  # PR_SET_PDEATHSIG of Linux's prctl


def limit(threads=None, platforms=''):
  """Prepares a new process, before it imports what computes.

  Args:
    threads: that may compute at a time; None leaves that to the libraries.
    platforms: of JAX; '' leaves them to the environment.
  """
  # Several processes share a GPU, so that none may take its memory at once.
  os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false'
  if platforms:
    os.environ['JAX_PLATFORMS'] = platforms
  if threads:
    names = 'NPROC', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'  # NPROC: XLA's pool
    os.environ.update(dict.fromkeys(names, str(threads)))


def start(initializer, *arguments):
  """An executor with one new process, in which the initializer was called.

  What is submitted first is submitted by the thread that calls this.
  """
  lasting = threading.current_thread() is threading.main_thread()
  return futures.ProcessPoolExecutor(
    1,
    multiprocessing.get_context('spawn'),
    initializer=_begin,
    initargs=(lasting, initializer, *arguments),
  )


def _begin(lasting, initializer, *arguments):
  # If the parent is killed, nobody else would end this process.
  if sys.platform == 'linux' and lasting:  # Linux means the parent's thread
    # A thread would have memory of its own, which threads that compute would
    # find and share, see `allocation.keep_freed`: in some processes, each step
    # of a training took a quarter longer.
    ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
    if not multiprocessing.parent_process().is_alive():
      os._exit(1)  # it was killed before
  else:
    threading.Thread(target=_end_with_parent, daemon=True).start()
  initializer(*arguments)


def _end_with_parent():
  multiprocessing.parent_process().join()
  os._exit(1)


@contextlib.contextmanager
def opened(*limits, shared=False):
  """Yields a function that starts processes, all of which end with the context.

  Args:
    *limits: of each process, see `limit`.
    shared: whether it gives the same process again and again: one process
      alone has the chips of a TPU.
  """
  with contextlib.ExitStack() as stack:

    def open_process():
      return stack.enter_context(start(limit, *limits))

    yield functools.cache(open_process) if shared else open_process


def prepare(rivals, function, open_process):
  """Opens contenders in their processes, one after the other.

  Args:
    rivals: contenders with a `title`.
    function: of a contender, called in its process; returns a dict.
    open_process: from `opened`.

  Returns:
    `(processes, facts, left_out)`: processes by title; what the function
    returned, by title; and by title, in a sentence, why a contender cannot be
    measured here.
  """
  processes, facts, left_out = {}, {}, {}
  for rival in rivals:
    print(f'Preparing {rival.title} ...', file=sys.stderr, flush=True)
    process = open_process()
    try:
      facts[rival.title] = process.submit(function, rival).result()
      processes[rival.title] = process
    except (ImportError, errors.InputError) as error:
      left_out[rival.title] = str(error)
    except futures.BrokenExecutor:
      left_out[rival.title] = (
        'its process was ended, perhaps for lack of memory.'
      )
  return processes, facts, left_out


def turns(processes, function, *arguments):
  """What `interleave.measure` runs: `function(title, *arguments)` in each.

  Such a run raises InputError if its process is gone.
  """

  def run(title, process):
    try:
      return process.submit(function, title, *arguments).result()
    except futures.BrokenExecutor:
      raise errors.InputError(
        f'The process of {title} was ended, perhaps for lack of memory: all '
        'contenders are open at once; choose fewer of them, or fewer clips.'
      ) from None

  return {
    title: functools.partial(run, title, process)
    for title, process in processes.items()
  }
