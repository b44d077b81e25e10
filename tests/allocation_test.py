"""Memory that a command has freed is there for its next step."""

import os
import platform
import subprocess
import sys

import pytest

from support import helpers

pytestmark = pytest.mark.skipif(
  platform.libc_ver()[0] != 'glibc', reason='other allocators are left alone'
)
# Without huge pages, of which a system may have some.
_BLOCKS = """
import ctypes, resource, sys
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
from tsm_jax import allocation
allocation.keep_freed(*sys.argv[1:])
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
free.argtypes = [ctypes.c_void_p]

def faults(size, touched):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  for _ in range(10):
    block = malloc(size)
    ctypes.memset(block, 1, touched)
    free(block)
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(40 << 20, 40 << 20), faults(3 << 30, 1 << 20)
print(faults(40 << 20, 40 << 20), faults(3 << 30, 1 << 20))
"""


def faults(*arguments, code=_BLOCKS, **environment):
  """Pages that ten blocks of 40 MiB were given, and ten of 3 GiB of which one
  MiB is used."""
  usual = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('MALLOC_', 'GLIBC_TUNABLES'))
  }
  done = subprocess.run(
    [sys.executable, '-c', code, *arguments],
    cwd=helpers.ROOT,
    env={**usual, 'JAX_PLATFORMS': '', **environment},
    capture_output=True,
    text=True,
    check=True,
  )
  return [int(count) for count in done.stdout.split()]


def test_what_was_freed_is_found_in_place(tmp_path):
  page = os.sysconf('SC_PAGE_SIZE')
  once = [40 * 2**20 // page, 2**20 // page]

  def kept(*arguments, **environment):
    found = faults(*arguments, **environment)
    few = [count < one / 2 for count, one in zip(found, once)]
    many = [count > 9 * one for count, one in zip(found, once)]
    assert few == [not x for x in many] and few[0] == few[1], found
    return few[0]

  # A machine without any device but its processor.
  assert kept(str(tmp_path))
  # What the user says of malloc holds, here what glibc does by itself.
  assert not kept(str(tmp_path), MALLOC_MMAP_THRESHOLD_='131072')
  # Of a machine with a GPU or TPU, nothing is known.
  for device in ('nvidia0', 'accel0'):
    (tmp_path / device).touch()
    assert not kept(str(tmp_path))
    assert kept(str(tmp_path), JAX_PLATFORMS='cpu')
    (tmp_path / device).unlink()


def test_a_training_does_so():
  code = _BLOCKS.replace(
    'allocation.keep_freed(*sys.argv[1:])',
    'import contextlib\nfrom tsm_jax import main\n'
    'with contextlib.redirect_stdout(sys.stderr):\n'
    "  main.main(['--config=quickstart', '--mode=describe'])",
  )
  found, _ = faults(code=code, JAX_PLATFORMS='cpu')
  assert found < 5000
