"""Compilations for machines that are not here, remembered in a folder."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
import time

import jax

from tsm_jax import files
from tsm_jax.plan import hlo, large_memory, moves, topology

RECORD = 3  # version of what is remembered
# How hard the compiler tries, and what JAX asks for if nobody says so. jax 0.11
# has the levels alone.
_EFFORTS = {
  'exec_time_optimization_effort': 0.0,
  'memory_fitting_effort': 0.0,
  'optimization_level': 'UNKNOWN',
  'memory_fitting_level': 'O2',
}


class Compiler:
  """Compiles for a topology, or reads what an equal compilation gave.

  Args:
    target: a `topology.Topology`.
    cache_dir: the folder of the records.
    watch: called with a line of text; returns a context manager for the work
      of minutes that the line announces.

  Raises:
    InputError: if the compiler is not installed.
  """

  def __init__(self, target, cache_dir, watch=contextlib.nullcontext):
    self.target = target
    self.devices = topology.devices(target)
    self.watch = watch
    self._folder = pathlib.Path(cache_dir).expanduser()

  def compile(self, lowered, name, count_flops):
    """The record of a compiled program.

    Args:
      lowered: a `jax.stages.Lowered`, on `devices`.
      name: of the program, for people.
      count_flops: a function that returns the FLOPs of the whole program. It
        is called where XLA does not count them: for a GPU that is not here.

    Returns:
      A dictionary: `memory` (bytes of a chip by kind), `flops` and `bytes` (of
      a chip; a loop's body counts once), `large_memory` (of a TPU, the bytes
      of `large_memory.traffic`; otherwise None), `collectives`, `moves`,
      `loop`, `seconds` and `out_of_memory` (a sentence of the compiler, or
      None).
    """
    path = self._folder / f'{key(lowered, self.target)}.json'
    if not path.exists():
      self._folder.mkdir(parents=True, exist_ok=True)  # fails before the work
      start = time.perf_counter()
      with self.watch(f'Compiling (minutes) {name}'):
        record = _compile(lowered, self.target)
      record['seconds'] = time.perf_counter() - start
      if record['flops'] is None:
        with self.watch(f'Counting the FLOPs of {name}'):
          record['flops'] = count_flops()
      files.write(path, json.dumps(record, indent=1))
    return json.loads(path.read_text())


def key(lowered, target):
  """A hash of all that the compiled program depends on."""
  compilers = ('libtpu',)
  if target.chip.gpu:
    compilers = ('jax-cuda12-pjrt', 'jax-cuda13-pjrt')
  versions = []
  for name in ('jax', 'jaxlib', *compilers):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions.append(f'{name}=={importlib.metadata.version(name)}')
  flags = [os.environ.get(name) for name in ('XLA_FLAGS', 'LIBTPU_INIT_ARGS')]
  parts = (RECORD, target.name, versions, flags, lowered.as_text())
  for name, usual in _EFFORTS.items():
    if (effort := getattr(jax.config, f'jax_{name}', usual)) != usual:
      parts += (name, effort)
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _compile(lowered, target):
  record = {
    'memory': None,
    'flops': 0,
    'bytes': 0,
    'large_memory': None,
    'collectives': [],
    'moves': [],
    'loop': False,
    'out_of_memory': None,
  }
  try:
    compiled = lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    if not is_out_of_memory(error):
      raise
    record['out_of_memory'] = re.split(r'\n|(?<=\))\. ', str(error))[0]
    return record
  stats = compiled.memory_analysis()
  record['memory'] = {
    'arguments': stats.argument_size_in_bytes,
    'outputs': stats.output_size_in_bytes,
    'aliased': stats.alias_size_in_bytes,
    'temporaries': stats.temp_size_in_bytes,
    'code': stats.generated_code_size_in_bytes,
  }
  text = compiled.as_text()
  costs = compiled.cost_analysis() or {}
  record['flops'] = costs.get('flops')
  record['bytes'] = costs.get('bytes accessed', hlo.traffic(text))
  if not target.chip.gpu:
    record['large_memory'] = large_memory.traffic(text)
  record['collectives'] = hlo.collectives(text, target.size)
  record['moves'] = moves.find(text)
  record['loop'] = hlo.has_loop(text)
  return record


def is_out_of_memory(error):
  """Whether an error says that the memory of a device or the host ran out."""
  return isinstance(error, MemoryError) or str(error).startswith(
    'RESOURCE_EXHAUSTED'
  )
