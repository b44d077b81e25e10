"""What a process that decodes can do wrong.

Spawned processes import this file, so it imports little.
"""

import os
import signal

from tsm_jax.data.clips import codec


def crash(clip):
  """Ends its process, as FFmpeg does on some files."""
  os._exit(1)


def crash_on_two(path, **options):
  """As `codec.to_record`, but it crashes on two files."""
  if os.fspath(path).endswith(('run/1.mp4', 'jump/3.mp4')):
    crash(path)
  return codec.to_record(path, **options)


def die_once(path, **options):
  """As `codec.to_record`, but the system kills it once at one file."""
  mark = f'{path}.killed'
  if os.fspath(path).endswith('run/1.mp4') and not os.path.exists(mark):
    open(mark, 'x').close()
    os.kill(os.getpid(), signal.SIGKILL)
  return codec.to_record(path, **options)


def without_one(path, **options):
  """As `codec.to_record`, while a disk does not show one file."""
  if not os.fspath(path).endswith('run/1.mp4'):
    return codec.to_record(path, **options)
  os.rename(path, f'{path}.away')
  try:
    return codec.to_record(path, **options)
  finally:
    os.rename(f'{path}.away', path)
