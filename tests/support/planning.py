"""A small configuration to plan, and the plan as a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from support import helpers

# Few layers, for they are what compiling takes; frames enough that what is
# kept of them does not fit into the fast memory of a TPU.
TINY = {
  'batch_size': 64,
  'data.image_size': 112,
  'model.depth': 18,
  'model.num_frames': 8,
  'model.stage_sizes': (1,),
  'model.width': 64,
}


def _installed(name):
  try:
    return importlib.util.find_spec(name) is not None
  except ModuleNotFoundError:  # of its parent
    return False


# Not in CI, where a test that lacks its compiler fails.
_CI = 'CI' in os.environ
needs_libtpu = pytest.mark.skipif(
  not (_CI or _installed('libtpu')), reason='needs the extra [plan]'
)
needs_cuda = pytest.mark.skipif(
  not (_CI or _installed('jax_plugins.xla_cuda13')),
  reason='needs [plan-cuda]',
)

# To look for the fastest program takes most of a compiler's time. The first one
# that it finds takes and sends as much. Every JAX knows the level; the effort
# of -1 that was given before means the same, but jax 0.11 passes it over.
LESS_EFFORT = {'JAX_OPTIMIZATION_LEVEL': 'O0'}


def command_line(*arguments, **fields):
  fields = {**TINY, **fields}.items()
  return [
    '--config=configs/ssv2.py',
    *(f'--config.{name}={value}' for name, value in fields),
    *arguments,
  ]


def run(*arguments, **fields):
  """A process of its own: libtpu stays in one that has loaded it.

  The compilers do not look long for the fastest program, see `LESS_EFFORT`.
  """
  return subprocess.run(
    [
      *(sys.executable, '-m', 'tsm_jax.plan'),
      *command_line(*arguments, **fields),
    ],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
    env={**os.environ, **LESS_EFFORT},
  )


def numbers(cache, *arguments, **fields):
  """What the plan says of each column."""
  done = run('--json', f'--cache_dir={cache}', *arguments, **fields)
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)
