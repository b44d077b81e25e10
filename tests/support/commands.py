"""The commands: called in this process, or as real ones on one device."""

import contextlib
import importlib
import io
import os
import socket
import subprocess
import sys

import jax

from support import helpers, trainings

# The smallest network that learns, on small frames.
TINY = (
  '--config=configs/quickstart.py',
  '--config.model.stage_sizes=(1,)',
  '--config.model.width=8',
  '--config.data.image_size=32',
  '--config.model.num_frames=4',
)


def call(module, *args, report=False):
  """Calls the `main` of a command here; what a process would give.

  Args:
    module: of the command.
    *args: of the command.
    report: whether a run draws its report, see `trainings.run`.
  """
  try:
    found = importlib.import_module(f'tsm_jax.{module}.__main__')
  except ModuleNotFoundError:
    found = importlib.import_module(f'tsm_jax.{module}')
  out, err = io.StringIO(), io.StringIO()
  with (
    contextlib.redirect_stdout(out),
    contextlib.redirect_stderr(err),
    contextlib.nullcontext() if report else trainings.without_report(),
  ):
    try:
      status = found.main(list(map(str, args)))
    except SystemExit as stopped:
      status = stopped.code
  return subprocess.CompletedProcess(
    args, status or 0, out.getvalue(), err.getvalue()
  )


def command(module, *args):
  return [sys.executable, '-m', f'tsm_jax.{module}', *map(str, args)]


def training(folder, data_dir, workdir, *more):
  """The arguments of a training of 48 steps that takes some seconds."""
  return command(
    'main',
    TINY[0],
    f'--workdir={workdir}',
    f'--config.data.source={folder}',
    f'--config.data.data_dir={data_dir}',
    *TINY[1:],
    '--config.model.dropout=0.5',
    '--config.data.flip=on',
    '--config.batch_size=10',
    '--config.epochs=24',
    '--config.eval.every_epochs=8',
    '--config.log_every_steps=4',
    '--config.checkpoint.every_steps=5',
    *more,
  )


def run(arguments, fast=True, **kwargs):
  return subprocess.run(
    arguments,
    cwd=helpers.ROOT,
    env=environment(fast),
    capture_output=True,
    text=True,
    **kwargs,
  )


# XLA compiles four times as fast, and again three times without most of its
# optimisations, as in the tests' own process; its programs are a little slower.
# jax 0.11.2's XLA has no other emitters, and ends at a flag it does not know.
FAST_XLA = '--xla_cpu_parallel_codegen_split_count=1'
if jax.__version_info__ < (0, 11):
  FAST_XLA += ' --xla_cpu_use_fusion_emitters=false'


def environment(fast=True):
  """Of a process that a test starts; `fast=False` keeps XLA's defaults."""
  cache = jax.config.jax_compilation_cache_dir
  flags = f'{os.environ.get("XLA_FLAGS", "")} {FAST_XLA if fast else ""}'
  unoptimised = {'JAX_DISABLE_MOST_OPTIMIZATIONS': 'true'} if fast else {}
  return {
    **os.environ,
    **unoptimised,
    'XLA_FLAGS': flags.strip(),
    'JAX_COMPILATION_CACHE_DIR': cache,
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    'JAX_PLATFORMS': 'cpu',
  }


def free_port():
  with socket.socket() as server:
    server.bind(('localhost', 0))
    return server.getsockname()[1]
