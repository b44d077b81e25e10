"""How this process gets its memory from the system."""

import ctypes
import os
import platform
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_SET_BY_USER = 'MALLOC_', 'GLIBC_TUNABLES'  # in the environment


def keep_freed():
  """Lets malloc keep what is freed, so that the next step finds it in place.

  A program of XLA asks for all its temporary memory at once when it starts and
  frees it at its end. By default glibc gives blocks of such size back to the
  system, and Linux has to clear each of their pages anew in every step. For a
  device other than the CPU, that is so of the batches on their way there.

  What environment variables say of glibc's malloc holds. Other systems, and
  other allocators that are loaded in its place, are left as they are.

  Returns:
    Whether it does so now.
  """
  if sys.platform != 'linux' or platform.libc_ver()[0] != 'glibc':
    return False
  if any(name.startswith(_SET_BY_USER) for name in os.environ):
    return False
  mallopt = ctypes.CDLL(None).mallopt
  # Only the first arena grows without bounds: in others, what is larger than 64
  # MiB would still be mapped for itself.
  return all(
    mallopt(*setting)
    for setting in (
      (_ARENA_MAX, 1),
      (_MMAP_MAX, 0),
      (_TRIM_THRESHOLD, 2**31 - 1),
    )
  )
