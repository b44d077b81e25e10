"""Compiled programs of earlier starts: JAX's cache, in the user's cache folder.

The commands switch it on, so that the second start of a run compiles nothing;
a program that only imports this package decides for itself.
"""

import contextlib
import hashlib
import os
import pathlib
import platform
import re
import stat
import sys
import tempfile
import time
import warnings

from tsm_jax import errors

UNUSED = 30 * 24 * 3600  # seconds, after which a program is removed
_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LEAST = 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'
# What JAX warns of before it compiles such a program anew.
_DAMAGED = r"Error reading persistent compilation cache entry for '([\w.<>-]+)'"


def switch_on():
  """Lets JAX keep what it compiles from here on, in `folder()`.

  What the environment says of JAX's own cache (JAX_COMPILATION_CACHE_DIR,
  JAX_ENABLE_COMPILATION_CACHE and so on) holds. If the folder cannot be used, a
  line on standard error says why, and the command goes on without.
  """
  import jax  # takes half a second, which mistakes need not wait for

  config = jax.config
  if (
    config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache
  ):
    return
  place = 'the folder of the user'
  try:
    place = folder()
    _prepare(place)
  except (OSError, RuntimeError) as error:  # of a user without a home, too
    line = (
      f'Compiled programs are not kept, as {str(place)!r} cannot be used '
      f'({error}); JAX_COMPILATION_CACHE_DIR names another folder.'
    )
    print(errors.printable(line), file=sys.stderr, flush=True)
    return
  remove_unused(place.parent)
  _replace_damaged(place)
  config.update('jax_compilation_cache_dir', str(place))
  if _LEAST not in os.environ:
    # A start compiles many small programs, which take seconds together.
    config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def folder():
  """Where the programs for this processor and this JAX are kept.

  A home may be shared by machines whose processors differ. A program that was
  compiled for one may hold instructions that another one lacks.
  """
  import jax
  import jaxlib

  parts = jax.__version__, jaxlib.__version__, *_processor()
  digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
  home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  home = pathlib.Path(home).expanduser().absolute()
  return home / 'tsm_jax' / 'programs' / digest


def _processor():
  found = sorted({platform.machine(), platform.processor()})
  with contextlib.suppress(OSError):
    found += instructions(pathlib.Path('/proc/cpuinfo').read_text())
  return found


def instructions(cpuinfo):
  """What tells apart processors that a program may be compiled for.

  Args:
    cpuinfo: the text in which Linux describes each of them.

  Returns:
    Sorted lines: names, and the instructions that they have.
  """
  found = set()
  for line in cpuinfo.splitlines():
    name, _, value = line.partition(':')
    # Intel and AMD list flags, ARM features.
    if name.strip() in ('flags', 'Features', 'model name', 'CPU part'):
      found.add(' '.join(sorted(value.split())))
  return sorted(found)


def _prepare(place):
  """Makes folders of this user's own; raises OSError if they cannot be used."""
  programs, tsm_jax = place.parents[:2]
  tsm_jax.parent.mkdir(parents=True, exist_ok=True)
  for one in (tsm_jax, programs, place):
    one.mkdir(exist_ok=True, mode=0o700)
    found = one.lstat()
    others = found.st_uid != os.getuid() or found.st_mode & _BY_OTHERS
    if others or not stat.S_ISDIR(found.st_mode):
      # Who may write here may let this user run any program.
      raise PermissionError(f'{one} is a link, or other users may change it')
  with tempfile.TemporaryFile(dir=place):
    pass


def remove_unused(programs):
  """Removes programs that were not used for `UNUSED` seconds.

  Where the system notes no reading of files, that is since they were written.

  Args:
    programs: the folder of the folders of all processors and versions.
  """
  oldest = time.time() - UNUSED
  for path in sorted(programs.rglob('*'), reverse=True):
    # Another process may remove it at the same time, and no folder goes that
    # holds something.
    with contextlib.suppress(OSError):
      found = path.lstat()
      if stat.S_ISDIR(found.st_mode):
        if found.st_mtime < oldest:
          path.rmdir()
      elif max(found.st_atime, found.st_mtime) < oldest:
        path.unlink()


def _replace_damaged(place):
  """Removes what JAX cannot read, silently, so that it writes it again.

  A process that was killed, or a full disk, leaves half a program. JAX would
  keep it and warn at every start. Its warning tells the name of the function
  only, so that all programs of that name are compiled anew.
  """
  shown = warnings.showwarning

  def show(message, *args, **kwargs):
    damaged = re.match(_DAMAGED, str(message))
    if not damaged:
      return shown(message, *args, **kwargs)
    for path in place.glob(f'{damaged[1]}-*'):
      path.unlink(missing_ok=True)

  warnings.showwarning = show
