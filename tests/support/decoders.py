"""What a process that decodes can do wrong.

Spawned processes import this file, so it imports little.
"""

import os

from tsm_jax.data.clips import codec


def crash(clip):
  """Ends its process, as FFmpeg does on some files."""
  os._exit(1)


def crash_on_two(path, **options):
  """As `codec.to_record`, but it crashes on two files."""
  if os.fspath(path).endswith(('run/1.mp4', 'jump/3.mp4')):
    crash(path)
  return codec.to_record(path, **options)
