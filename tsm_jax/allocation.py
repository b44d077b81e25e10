"""How this process gets its memory from the system."""

import ctypes
import os
import pathlib
import platform
import sys

# Of glibc's malloc.h. Only the first arena grows without bounds: in others,
# what is larger than 64 MiB would still be mapped for itself. A threshold of -1
# trims nothing.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_SETTINGS = (_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)
_SET_BY_USER = 'MALLOC_', 'GLIBC_TUNABLES'  # in the environment
_DEVICES = 'nvidia[0-9]*', 'accel*', 'vfio/[0-9]*', 'kfd'  # GPUs, TPUs


def keep_freed(devices='/dev'):
  """Lets malloc keep what is freed, so that the next step finds it in place.

  A program that XLA has compiled for a CPU asks for all its temporary memory at
  once when it starts and frees it at its end. By default glibc gives blocks of
  such size back to the system, and Linux has to clear each of their pages anew
  in every step.

  The steps of a stream want little memory at a time, and wait for each other
  where all threads share an arena: it is for training and evaluation.

  What environment variables say of glibc's malloc holds. Other systems are left
  as they are, and so are machines with a GPU or TPU unless JAX_PLATFORMS is
  'cpu': their hosts load data in many threads, for which it was not measured.

  Args:
    devices: the folder of the system's devices.
  """
  if sys.platform != 'linux' or platform.libc_ver()[0] != 'glibc':
    return
  if any(name.startswith(_SET_BY_USER) for name in os.environ):
    return
  if os.environ.get('JAX_PLATFORMS') != 'cpu' and any(
    found for kind in _DEVICES for found in pathlib.Path(devices).glob(kind)
  ):
    return
  mallopt = ctypes.CDLL(None).mallopt
  for setting in _SETTINGS:
    mallopt(*setting)
