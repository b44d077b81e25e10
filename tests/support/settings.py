"""Settings and fixtures of all tests: strict and fast, 8 devices.

conftest.py loads it where tests run.
"""

import os

# PyTorch's threads, read when it is loaded: a process per core runs already.
os.environ.setdefault('OMP_NUM_THREADS', '1')
# Where a test asks for more, one that waits for another does not spin.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

import gc
import pathlib
import signal
import tempfile

import av
import jax
import pytest

from support import commands, helpers, trainings
from tsm_jax.data.clips import workers

_CACHE = pathlib.Path(tempfile.gettempdir()) / f'tsm_jax_tests_{os.getuid()}'

# Of the processes that tests start, too: a library for TPUs or GPUs that is
# installed, but has none here, complains on stderr.
os.environ['JAX_PLATFORMS'] = 'cpu'
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_disable_most_optimizations', True)
# Nor do they touch the programs that the user's commands have compiled.
os.environ['JAX_COMPILATION_CACHE_DIR'] = str(_CACHE)
jax.config.update('jax_compilation_cache_dir', str(_CACHE))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)

# A shell lets what it starts in the background ignore Ctrl-C, which is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What JAX keeps is much to look through, and little of it is garbage.
gc.set_threshold(200_000, 50, 100)

# Clips are decoded in the test's own process, which saves the start of others.
workers.DEFAULT_SIZE = 0


def pytest_collection_finish():
  """What was loaded until now stays, and need not be looked through again."""
  gc.collect()
  gc.freeze()


@pytest.fixture
def processes(monkeypatch):
  """Decodes in processes of their own, as users do."""
  monkeypatch.setattr(workers, 'DEFAULT_SIZE', None)


@pytest.fixture
def quiet_ffmpeg():
  """FFmpeg says nothing of broken files."""
  av.logging.set_level(av.logging.PANIC)
  yield
  av.logging.set_level(None)


def _compile_fast():
  """Compiles four times as fast in this process.

  XLA reads its flags once, with the first program.
  """
  given = os.environ.get('XLA_FLAGS')
  os.environ['XLA_FLAGS'] = f'{given or ""} {commands.FAST_XLA}'
  jax.jit(lambda: 0)()
  if given is None:
    del os.environ['XLA_FLAGS']
  else:
    os.environ['XLA_FLAGS'] = given


_compile_fast()
trainings.share_programs()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A folder with 20 training and 4 validation clips of two classes."""
  return helpers.write_splits(tmp_path_factory.mktemp('videos'))


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Where the tests of a module build their datasets, once."""
  return tmp_path_factory.mktemp('data')
