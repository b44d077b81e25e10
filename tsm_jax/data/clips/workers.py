"""A function over many files, in processes that may crash.

`concurrent.futures` cannot say which task crashed its process, and has been
seen to hang after it; here every process has its own pipe, so both are known.
"""

import collections
import contextlib
import multiprocessing
from multiprocessing import connection as connections
import os
import signal
import subprocess
import sys
import time

from tsm_jax import errors
from tsm_jax.data.clips import limits, opening

CRASHED = 'the process that read it crashed'
PASSING = 'cannot be read now: '  # how a reason begins that is not in the file
PAUSE = 0.2  # seconds before a file that could not be read is tried again
START_LIMIT = 600.0  # seconds until a process has imported its function
MAX_STARTS = 3  # of processes that are killed one after the other
DEFAULT_SIZE = None  # processes where none are asked for; None: one per core
_HELLO = -1  # what a process does until it has started
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def is_passing(reason):
  """Whether a reason may be gone when the same file is read later."""
  return reason.startswith(PASSING)


class Workers:
  """Processes that apply one function to many arguments.

  Use as a context manager. The processes import the module of the function, so
  keep that small. They are neither forks, which can hang beside JAX's threads,
  nor of `multiprocessing`, which would run the program's own file once more.
  """

  def __init__(self, work, size=None, limit=limits.MAX_SECONDS):
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
    self._killed = 0  # processes since the last one that has started
    self._lost = set()  # arguments that ended a process, by number
    self._again = collections.deque()  # of them, those to be tried once more

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    for worker in self._workers:
      worker.end()

  def outcomes(self, arguments):
    """Applies the function to a sequence of arguments.

    At most `2 * size` results wait for the reader, so that memory stays
    bounded where results are large. A crash or too long a time may be the fault
    of the machine or of another program, so the argument is tried once more,
    as is a file that cannot be read now.

    Yields:
      For every argument, in order, `(result, reason)`: the reason is '' or why
      there is no result: what was raised, a crash, or too long a time; see
      `is_passing`.

    Raises:
      InputError: if no process can be started.
    """
    if not self._size:
      yield from (_outcome(self._work, argument) for argument in arguments)
      return
    ready, given = {}, 0
    self._lost.clear()
    self._again.clear()
    try:
      for wanted in range(len(arguments)):
        self._collect(ready, timeout=0)
        while True:
          limit = min(wanted + 2 * self._size, len(arguments))
          while (self._again or given < limit) and (
            worker := self._free_worker()
          ):
            task = self._again.popleft() if self._again else given
            worker.give(task, arguments[task])
            given = max(given, task + 1)
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
        self._lose(worker, '', ready)
      else:
        if worker.task == _HELLO:
          self._killed = 0
        else:
          ready[worker.task] = outcome
        worker.task = None
    for worker in busy.values():
      limit = START_LIMIT if worker.task == _HELLO else self._limit
      if time.monotonic() - worker.since > limit:
        self._lose(worker, f'took longer than {limit:.0f} s', ready)

  def _lose(self, worker, reason, ready):
    """Ends a process that has crashed, or for a reason.

    Raises:
      InputError: if it seems of no use to start another.
    """
    self._workers.remove(worker)
    code = None if reason else worker.exit_code()
    worker.end()
    task, killed = worker.task, code is not None and -code in _FROM_OUTSIDE
    if task == _HELLO:
      self._killed += 1
      if not killed or self._killed >= MAX_STARTS:
        raise errors.InputError(_not_started(code, reason))
    elif task not in self._lost:
      self._lost.add(task)
      self._again.append(task)
    elif killed:
      name = signal.Signals(-code).name
      ready[task] = None, f'{PASSING}its process was killed twice ({name})'
    else:
      ready[task] = None, reason or CRASHED


def _not_started(code, reason):
  """A sentence on a process that ended before it could begin."""
  if reason:
    return f'No process can be started to decode: the start {reason}.'
  if code is not None and code < 0:
    return (
      'No process can be started to decode: it is killed by '
      f'{signal.Signals(-code).name} while it starts; is there enough memory?'
    )
  return (
    f'No process can be started to decode: it ended with status {code}, and '
    'says above why.'
  )


class _Worker:
  """One process, and the number of the argument that it is at."""

  def __init__(self, work):
    self.task = _HELLO
    self.since = time.monotonic()
    self.pipe, theirs = multiprocessing.Pipe()
    number = theirs.fileno()
    paths = [str(path) or os.getcwd() for path in sys.path]
    code = f'import sys; sys.path[:] = {paths!r}; '
    code += f'from {__name__} import serve; serve({number})'
    command = [sys.executable, '-c', code]
    with theirs, _uninterrupted():  # its end is then the end of the pipe
      self._process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, pass_fds=[number]
      )
    self._send(work)

  def give(self, task, argument):
    self.task = task
    self.since = time.monotonic()
    self._send(argument)

  def _send(self, what):
    with contextlib.suppress(ConnectionError):  # the next `recv` finds it
      self.pipe.send(what)

  def exit_code(self):
    """The status of a process whose pipe has ended; minus a signal."""
    with contextlib.suppress(subprocess.TimeoutExpired):
      self._process.wait(5)
    return self._process.returncode

  def end(self):
    self.pipe.close()
    self._process.kill()
    self._process.wait()


@contextlib.contextmanager
def _uninterrupted():
  """A process that is started meanwhile never sees Ctrl-C, its parent does."""
  old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, old)


def serve(number):
  """What a process does: answers until the pipe of this number ends."""
  pipe = connections.Connection(number)
  with contextlib.suppress(EOFError, ConnectionError):
    work = pipe.recv()
    pipe.send(None)
    while True:
      pipe.send(_outcome(work, pipe.recv()))


def _outcome(work, argument):
  try:
    try:
      return work(argument), ''
    except (opening.PassingError, MemoryError):
      time.sleep(PAUSE)
      return work(argument), ''
  except opening.PassingError as error:
    return None, f'{PASSING}{error}'
  except errors.InputError as error:
    return None, str(error)
  except MemoryError:
    return None, f'{PASSING}there is not enough memory'
  except Exception as error:  # one file must not end the work on all others
    return None, f'{type(error).__name__}: {error}'
