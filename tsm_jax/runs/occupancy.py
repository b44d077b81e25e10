"""One run at a time in a workdir: a second one is refused.

On a local or shared disk this is a lock of the file system, which ends with its
process, however that ends. A bucket has no locks: there the later run takes the
workdir, and the earlier one ends when it is about to save.
"""

import contextlib
import json
import os
import platform
import time
import uuid

import jax

from tsm_jax import errors, files, sharding
from tsm_jax.data.store import locks
from tsm_jax.runs import processes

LOCK = 'run.lock'
OWNER = 'run.json'  # not the lock itself, which ends when a process closes it
# In seconds: a file server forgets the locks of a machine that is gone.
PATIENCE = 120

_held = set()  # files that this process has locked


class Occupancy:
  """A run's hold on its workdir."""

  def __init__(self, workdir):
    """Writes whose it is; the caller has locked it, if that is possible."""
    self._workdir = files.path(workdir)
    self._owner = {
      'host': platform.node(),
      'process': os.getpid(),
      'since': time.strftime('%Y-%m-%d %H:%M:%S'),
      'id': uuid.uuid4().hex,
    }
    self._write()

  def check(self):
    """Raises InputError, on all processes, if the workdir is ours no more."""
    reason = self._lost() if jax.process_index() == 0 else None
    if processes.broadcast(reason is not None):
      raise errors.InputError(
        reason or f'The workdir {self._workdir} is lost; process 0 says why.'
      )

  def _lost(self):
    if not self._workdir.is_dir() and not files.is_remote(self._workdir):
      return (
        f'The workdir {self._workdir} was removed while this run used it; '
        'nothing more can be saved.'
      )
    owner = _read(self._workdir)
    if owner is None:
      self._write()
    elif owner != self._owner:
      return (
        f'Another run has started in {self._workdir} ({_describe(owner)}); '
        'this one ends, so that they do not mix. Give it another --workdir.'
      )
    return None

  def _write(self):
    if jax.process_index() == 0:
      files.write(self._workdir / OWNER, json.dumps(self._owner))


@contextlib.contextmanager
def held(workdir, log=print):
  """Keeps a workdir for one run, on all its processes.

  Args:
    workdir: a local path or a URL; a folder is made.
    log: called with a line if this has to wait for another machine.

  Yields:
    An `Occupancy`.

  Raises:
    InputError: if another run has it.
  """
  workdir = files.path(workdir)
  with contextlib.ExitStack() as stack:
    refused = None
    if jax.process_index() == 0:
      try:
        if not files.is_remote(workdir):
          stack.enter_context(_locked(workdir, log))
      except errors.InputError as error:
        refused = error
    # Process 0 may have waited, and a broadcast waits half a minute only.
    sharding.barrier('workdir')
    if processes.broadcast(refused is not None):
      raise refused or errors.InputError(
        f'Another run is in {workdir}, as process 0 says.'
      )
    yield Occupancy(workdir)


@contextlib.contextmanager
def _locked(workdir, log):
  workdir.mkdir(parents=True, exist_ok=True)
  path = workdir / LOCK
  key = os.path.realpath(path)
  if path.exists() and not files.is_regular(path):  # a pipe would never open
    raise errors.InputError(f'{path} is no regular file; remove it.')
  # To close the file a second time would end the lock of the first.
  if key in _held:
    raise _busy(workdir)
  with open(path, 'a') as file:
    if not locks.acquire(file):
      _wait(file, workdir, log)
    _held.add(key)
    try:
      yield
    finally:
      _held.discard(key)


def _wait(file, workdir, log):
  """Waits for the file server, if the other run is on another machine."""
  owner = _read(workdir) or {}
  if owner.get('host') in (None, platform.node()):
    raise _busy(workdir)
  log(
    f'{workdir} is locked by another run ({_describe(owner)}). In case that '
    f'machine is gone, waiting up to {PATIENCE} s ...'
  )
  end = time.monotonic() + PATIENCE
  while not locks.acquire(file):
    if time.monotonic() > end:
      raise _busy(workdir)
    time.sleep(1)


def _busy(workdir):
  owner = _read(workdir)
  return errors.InputError(
    f'Another run is in {workdir} ({_describe(owner)}); end it first, or '
    'choose another --workdir: of a sweep, each run needs its own, such as '
    f'{workdir}-2.'
  )


def _read(workdir):
  """The owner that the file names, or None."""
  try:
    return files.read_json(workdir / OWNER)
  except (OSError, errors.InputError):
    return None


def _describe(owner):
  names = ('process', 'host', 'since')
  if not owner or not owner.keys() >= {*names}:
    return 'which has not said who it is'
  return 'process {process!r} on {host!r}, since {since!r}'.format(**owner)
