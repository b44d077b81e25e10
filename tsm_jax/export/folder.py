"""The folder of an export: whole under its name, or not there."""

import contextlib
import os
import pathlib
import secrets
import shutil
import signal
import threading

from tsm_jax import errors, files
from tsm_jax.export import card


def check(out):
  """Raises InputError unless `out` is free, or an export to replace.

  Args:
    out: a local path.
  """
  if files.is_remote(out):
    raise errors.InputError(
      f'{str(out)!r} is in a bucket; give a local folder, and copy it there.'
    )
  target = pathlib.Path(files.path(out))
  if target.exists() and not target.is_dir():
    raise errors.InputError(f'{target} is a file; give a folder.')
  found = set(files.walk(target)) if target.exists() else set()
  found = {x for x in found if not x.startswith('__pycache__/')}
  if not found:
    return
  known = {card.FILE}
  with contextlib.suppress(errors.InputError):
    listed = files.read_json(target / card.FILE).get('files')
    known.update(listed if isinstance(listed, dict) else ())
  if card.FILE not in found or found - known:
    raise errors.InputError(
      f'{target} holds {min(found - known or found)!r}, which is of no export; '
      'give a new folder, or remove that.'
    )


@contextlib.contextmanager
def made(out):
  """Yields a folder that gets the name `out` once it is complete.

  What fails, or is ended by Ctrl-C or SIGTERM, leaves nothing. An export that
  has the name already is replaced at the end.

  Args:
    out: a local path, see `check`.

  Raises:
    InputError: as `check`.
  """
  check(out)
  target = pathlib.Path(files.path(out)).resolve()
  target.parent.mkdir(parents=True, exist_ok=True)
  # Numbers of processes are the same in several containers.
  mark = f'{os.getpid()}-{secrets.token_hex(4)}'
  unfinished = target.parent / f'.{target.name}.{mark}.unfinished'
  with _ending_in_order():
    try:
      unfinished.mkdir()
      yield unfinished
      check(out)  # it took minutes
      _replace(unfinished, target)
    finally:
      shutil.rmtree(unfinished, ignore_errors=True)


def _replace(unfinished, target):
  """Gives a folder its name, and removes the one that had it."""
  old = target.parent / f'{unfinished.name}.old'
  try:
    if target.exists():
      target.rename(old)
    unfinished.rename(target)
  except BaseException:
    if old.exists() and not target.exists():
      old.rename(target)
    raise
  finally:
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _ending_in_order():
  """Turns SIGTERM into an exception, as Ctrl-C is one."""

  def end(number, frame):
    del frame
    raise SystemExit(128 + number)

  if threading.current_thread() is not threading.main_thread():
    yield  # signals belong to that
    return
  before = signal.signal(signal.SIGTERM, end)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)
