"""Ways to work on a batch of clips, each timed in a process of its own."""

import time
from typing import Any, NamedTuple

import numpy as np

from tsm_jax import allocation, errors
from tsm_jax.bench import interleave

PYTORCH = {
  'PyTorch, eager': {},
  'PyTorch, channels-last': {'channels_last': True},
  'PyTorch, compiled': {'compiled': True},
}
CLOCKS = ('time', 'processor time')


class Contender(NamedTuple):
  """What a process runs; it travels there.

  Attributes:
    title: a key of `PYTORCH`; any other is one of JAX.
    config: a whole configuration, with `model.num_classes`.
    mode: one of `contests.MODES`.
    platform: on which JAX runs: 'cpu', 'gpu' or 'tpu'.
  """

  title: str
  config: Any
  mode: str
  platform: str


def prepare(contender):
  """Makes a contender in this process and lets it work once.

  Returns:
    A dict from the names of what computes to their versions.

  Raises:
    ImportError: if a package is not installed.
    InputError: if PyTorch cannot do what the configuration says, or fails, or
      JAX has too little memory.
  """
  make = _pytorch if contender.title in PYTORCH else _jax
  _opened[contender.title], versions = make(contender)
  return versions


def _jax(contender):
  allocation.keep_freed()  # as tsm_jax.main does, before JAX is there
  import jax

  from tsm_jax import sharding
  from tsm_jax.bench.clips import programs

  config = contender.config
  with programs.explained(config):
    run, _ = programs.runner(config, contender.mode, sharding.create_mesh())
    run()
  return run, {'jax': jax.__version__}


def _pytorch(contender):
  import torch

  from tsm_jax.bench.clips import pytorch

  title, config, mode, platform = contender
  try:
    run = pytorch.runner(config, mode, platform, **PYTORCH[title])
    run()
  except RuntimeError as error:  # no C++ compiler, too little memory, ...
    reason = ' '.join(str(error).split())[:200]
    raise errors.InputError(f'PyTorch says: {reason}') from None
  return run, {'torch': torch.__version__}


def turn(title, steps):
  """Lets a contender of this process work some times.

  A short step is done once before: others ran meanwhile and left the caches and
  the processor's clock as they like.

  Args:
    title: of the contender.
    steps: how often.

  Returns:
    Seconds of one step by each of `CLOCKS`, a tuple.
  """
  run = _opened[title]
  before = now()
  run()
  done = 1
  if now()[0] - before[0] < interleave.LONG:
    before, done = now(), 0
  for _ in range(steps - done):
    run()
  return tuple(((now() - before) / steps).tolist())


def now():
  """Seconds by each of `CLOCKS`, an array."""
  return np.array([time.perf_counter(), time.process_time()])


def devices():
  """`(platform, kind, number)` of what JAX runs on in this process.

  Raises:
    InputError: if there is no device of the platform that JAX was told to use.
  """
  import jax

  try:
    found = jax.devices()
  except RuntimeError as error:
    raise errors.InputError(f'JAX finds no device: {error}') from None
  return found[0].platform, found[0].device_kind, len(found)


_opened = {}  # the contenders of this process by title
