"""A function over many files, in processes that may crash.

`concurrent.futures` cannot say which task crashed its process, and has been
seen to hang after it; here every process has its own pipe, so both are known.
"""

import contextlib
import multiprocessing
from multiprocessing import connection as connections
import os
import time

from tsm_jax import errors

CRASHED = 'the process that read it crashed'
START_LIMIT = 600.0  # seconds until a process has imported its function
DEFAULT_SIZE = None  # processes where none are asked for; None: one per core
_HELLO = -1  # what a process does until it has started


class Workers:
  """Processes that apply one function to many arguments.

  Use as a context manager. The processes import the module of the function, so
  keep that small; they are spawned, because a fork of a process with JAX's
  threads can hang.
  """

  def __init__(self, work, size=None, limit=3600.0):
    """Prepares for `size` processes, by default one per core.

    Args:
      work: a function of one argument, picklable.
      size: the number of processes; 0 calls the function in this process,
        which a crash ends, and without a limit.
      limit: seconds after which an argument is given up.
    """
    self._work = work
    self._limit = limit
    size = DEFAULT_SIZE if size is None else size
    self._size = os.cpu_count() or 1 if size is None else size
    self._workers = []

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    for worker in self._workers:
      worker.end()

  def outcomes(self, arguments):
    """Applies the function to a sequence of arguments.

    At most `2 * size` results wait for the reader, so that memory stays
    bounded where results are large.

    Yields:
      For every argument, in order, `(result, reason)`: the reason is '' or why
      there is no result: what was raised, a crash, or too long a time.

    Raises:
      InputError: if no process can be started.
    """
    if not self._size:
      yield from (_outcome(self._work, argument) for argument in arguments)
      return
    ready, given = {}, 0
    try:
      for wanted in range(len(arguments)):
        self._collect(ready, timeout=0)
        while True:
          limit = min(wanted + 2 * self._size, len(arguments))
          while given < limit and (worker := self._free_worker()):
            worker.give(given, arguments[given])
            given += 1
          if wanted in ready:
            break
          self._collect(ready, timeout=1)
        yield ready.pop(wanted)
    finally:
      for worker in [w for w in self._workers if w.task is not None]:
        self._workers.remove(worker)  # the reader left before the end
        worker.end()

  def _free_worker(self):
    for worker in self._workers:
      if worker.task is None:
        return worker
    if len(self._workers) < self._size:
      self._workers.append(_Worker(self._work))
    return None

  def _collect(self, ready, timeout):
    """Moves what arrives within `timeout` seconds into `ready`."""
    busy = {w.pipe: w for w in self._workers if w.task is not None}
    for pipe in connections.wait(list(busy), timeout):
      worker = busy.pop(pipe)
      try:
        outcome = pipe.recv()
      except (EOFError, OSError):  # also in the middle of a message
        self._lose(worker, CRASHED, ready)
      else:
        if worker.task != _HELLO:
          ready[worker.task] = outcome
        worker.task = None
    for worker in busy.values():
      limit = START_LIMIT if worker.task == _HELLO else self._limit
      if time.monotonic() - worker.since > limit:
        self._lose(worker, f'took longer than {limit:.0f} s', ready)

  def _lose(self, worker, reason, ready):
    self._workers.remove(worker)
    worker.end()
    if worker.task == _HELLO:
      raise errors.InputError(
        'No process can be started to decode; a program that builds a '
        "dataset must be a file with `if __name__ == '__main__':`."
      )
    ready[worker.task] = None, reason


class _Worker:
  """One process, and the number of the argument that it is at."""

  def __init__(self, work):
    context = multiprocessing.get_context('spawn')
    self.task = _HELLO
    self.since = time.monotonic()
    self.pipe, theirs = context.Pipe()
    self._process = context.Process(
      target=_serve, args=(work, theirs), daemon=True
    )
    self._process.start()
    theirs.close()  # so that the end of the process is the end of the pipe

  def give(self, task, argument):
    self.task = task
    self.since = time.monotonic()
    with contextlib.suppress(ConnectionError):  # the next `recv` finds it
      self.pipe.send(argument)

  def end(self):
    self.pipe.close()
    self._process.kill()
    self._process.join()


def _serve(work, pipe):
  """What a process does: answers until the pipe ends."""
  with contextlib.suppress(EOFError, ConnectionError):
    pipe.send(None)
    while True:
      pipe.send(_outcome(work, pipe.recv()))


def _outcome(work, argument):
  try:
    return work(argument), ''
  except errors.InputError as error:
    return None, str(error)
  except Exception as error:  # one file must not end the work on all others
    return None, f'{type(error).__name__}: {error}'
