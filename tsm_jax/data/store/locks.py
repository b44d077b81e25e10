"""One process at a time: the others wait, and find what it has made."""

import contextlib
import errno
import fcntl

from tsm_jax import errors

_BUSY = (errno.EACCES, errno.EAGAIN)


@contextlib.contextmanager
def held(path, what, log=print):
  """Holds the lock file `path`, for which it waits if another process has it.

  A lock ends with its process, however that ends. The file stays: to remove it
  would let a third process lock another file of that name.

  Args:
    path: of the file; its folder is made.
    what: what is made under the lock; named in the line about waiting.
    log: called with that line.

  Raises:
    InputError: if the file cannot be made.
  """
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open('a')
  except OSError as error:
    raise errors.InputError(
      f'data_dir is {str(path.parents[1])!r}, in which nothing can be written: '
      f'{error}.'
    ) from error
  with file:
    if not acquire(file):
      log(f'Another process makes {what}; waiting for it ...')
      fcntl.lockf(file, fcntl.LOCK_EX)
    yield


def acquire(file):
  """Locks an open file, or returns False if another process has locked it.

  A file system without locks says yes: there, one process must be enough.
  """
  try:
    # Not flock: the workers of a process that is killed would inherit it.
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    return error.errno not in _BUSY
  return True
