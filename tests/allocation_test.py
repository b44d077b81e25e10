"""Memory that a command has freed is there for its next step."""

import os
import platform
import subprocess
import sys

import pytest

from support import helpers

_BLOCKS = """
import resource
import numpy as np
from tsm_jax import cli

def faults():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  for _ in range(10):
    np.ones(40 * 2**20, np.uint8)  # 40 MiB, freed at once
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

@cli.command()
def main(argv):
  faults()
  print(faults())

main()
"""


def faults(**environment):
  """Pages that ten blocks of 40 MiB were given by a command."""
  done = subprocess.run(
    [sys.executable, '-c', _BLOCKS],
    cwd=helpers.ROOT,
    # NumPy would ask for huge pages, which are few.
    env={**os.environ, 'NUMPY_MADVISE_HUGEPAGE': '0', **environment},
    capture_output=True,
    text=True,
    check=True,
  )
  return int(done.stdout)


@pytest.mark.skipif(
  platform.libc_ver()[0] != 'glibc', reason='other allocators are left alone'
)
def test_a_command_finds_its_memory_in_place():
  once = 40 * 2**20 // os.sysconf('SC_PAGE_SIZE')
  assert faults() < once / 10
  # What the user says of malloc holds, here what glibc does by itself.
  assert faults(MALLOC_MMAP_THRESHOLD_='131072') > 5 * once
