"""What a step will need and take: the true program, compiled but never run.

Every number is predicted: read from the compiled program, or computed from it
and the published figures of `topology`.
"""

import contextlib
import copy
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import re
import time

import jax
import numpy as np

from tsm_jax import errors, sharding
from tsm_jax.plan import hlo, topology
from tsm_jax.program import step

RECORD = 1  # version of what is cached


def forecast(config, target, num_classes, num_clips, cache_dir, watch=None):
  """All numbers of a configuration on a topology.

  Args:
    config: as from `configs/common.py`.
    target: a `topology.Topology`.
    num_classes: of the dataset.
    num_clips: of its training split.
    cache_dir: where compilations are kept.
    watch: a context manager, called with a line, around what takes long.

  Returns:
    A dictionary of numbers; bytes, seconds, FLOPs and clips, `chip_` per chip.

  Raises:
    InputError: if the configuration does not fit the topology, or the compiler
      is not installed.
  """
  mesh = sharding.create_mesh(topology.devices(target))
  watch = watch or (lambda line: contextlib.nullcontext())

  def measured(batch_size):
    sharding.check_batch_size(
      'batch_size', batch_size, mesh, config.accumulation
    )
    changed = copy.deepcopy(config)
    changed.batch_size = batch_size
    line = f'{config.name} on {target.name}, {batch_size} clips'
    program = step.build(changed, mesh, num_classes, num_clips)
    with watch(f'Tracing {line}'):
      lowered = program.train_step.lower(*program.arguments)
    record = compile_cached(
      lowered,
      target,
      cache_dir,
      lambda doing: watch(f'{doing} {line}'),
      lambda: count_flops(changed, num_classes, num_clips),
    )
    return program, _memory(program, record, target.chip.memory), record

  program, memory, record = measured(config.batch_size)
  chip_batch = config.batch_size // mesh.size
  numbers = {
    'chip_batch': chip_batch,
    'steps_per_epoch': program.steps_per_epoch,
    'total_steps': program.total_steps,
    'fits': memory['total'] is not None and memory['total'] <= memory['limit'],
    'memory': memory,
    'out_of_memory': record['out_of_memory'],
    'compile_seconds': record['seconds'],
    **_largest_batch(chip_batch, mesh.size, memory, measured),
  }
  if record['out_of_memory'] is None:
    numbers.update(_roofline(config, target, record))
  return numbers


def _largest_batch(chip_batch, num_chips, memory, measured):
  """The largest batch per chip, on the line through two sizes that fit."""
  sizes = {}
  if memory['total'] is not None:
    sizes[chip_batch] = memory
  smaller = [chip_batch // 2**k for k in range(1, chip_batch.bit_length())]
  for size in (*smaller, 2 * chip_batch):
    if len(sizes) == 2:
      break
    # A size that ghost batches or accumulation cannot divide is passed over.
    with contextlib.suppress(errors.InputError):
      other = measured(size * num_chips)[1]
      if other['total'] is not None:
        sizes[size] = other
  if len(sizes) < 2:
    return {'largest_chip_batch': None, 'largest_from': sorted(sizes)}
  low, high = sorted(sizes)
  if sizes[high]['total'] <= sizes[low]['total']:
    # The compiler spends memory that is free: small batches may take more.
    with contextlib.suppress(errors.InputError):
      other = measured(2 * high * num_chips)[1]
      if other['total'] is not None:
        low, high = high, 2 * high
        sizes[high] = other
  totals = [sizes[size]['total'] for size in (low, high)]
  slope = (totals[1] - totals[0]) / (high - low)
  largest = None
  if slope > 0:
    largest = max(0, math.floor(low + (memory['limit'] - totals[0]) / slope))
  return {'largest_chip_batch': largest, 'largest_from': [low, high]}


def _memory(program, record, limit):
  """Bytes of each chip by kind; `total` is None where it did not compile."""
  state, batch, _ = program.arguments
  kinds = {
    'parameters': state.params,
    'batch statistics': state.batch_stats,
    'optimiser state': state.opt_state,
    'averaged parameters': state.ema,
    'clips of the batch': batch,
  }
  kinds = {name: shard_bytes(tree) for name, tree in kinds.items()}
  # While a step runs, the batch of the next one is sent.
  kinds['clips of the next batch'] = kinds['clips of the batch']
  if record['out_of_memory'] is not None:
    return {'kinds': kinds, 'total': None, 'limit': limit}
  stats = record['memory']
  known = sum(kinds.values()) - kinds['clips of the next batch']
  kinds['padding of layouts'] = max(0, stats['arguments'] - known)
  kinds['activations and temporaries'] = stats['temporaries']
  kinds['results'] = stats['outputs'] - stats['aliased']
  kinds['code'] = stats['code']
  return {'kinds': kinds, 'total': sum(kinds.values()), 'limit': limit}


def shard_bytes(tree):
  """Bytes that each chip holds of a tree of shapes with shardings."""
  return sum(
    math.prod(x.sharding.shard_shape(x.shape)) * np.dtype(x.dtype).itemsize
    for x in jax.tree.leaves(tree)
  )


def _roofline(config, target, record):
  """The least time of a step: the slowest of three, if they overlap fully."""
  chip = target.chip
  repeats = config.accumulation if record['loop'] else 1
  sent = dict.fromkeys(hlo.KINDS, 0)
  table = {}
  for kind, num_bytes, group, in_loop in record['collectives']:
    one = hlo.Collective(kind, num_bytes, group, in_loop)
    times = repeats if in_loop else 1
    sent[kind] += times * one.sent_bytes
    row = table.setdefault(kind, {'count': 0, 'bytes': 0})
    row['count'] += times
    row['bytes'] += times * num_bytes
  flops, moved = repeats * record['flops'], repeats * record['bytes']
  peak = chip.bf16 if config.model.dtype == 'bfloat16' else chip.f32
  seconds = {
    'compute': flops / peak,
    'memory bandwidth': moved / chip.bandwidth,
    'interconnect': (
      sum(sent.values()) / target.interconnect if target.interconnect else 0.0
    ),
  }
  bound = max(seconds, key=seconds.get)
  return {
    'chip_flops': flops,
    'chip_bytes': moved,
    'collectives': table,
    'chip_sent_bytes': sum(sent.values()),
    'seconds': seconds,
    'step_seconds': seconds[bound],
    'bound': bound,
  }


def compile_cached(lowered, target, cache_dir, watch, count_flops):
  """The record of a compilation, from the cache if the same was done before.

  Args:
    lowered: what `jax.jit(...).lower(...)` returns.
    target: a `topology.Topology`, on whose devices it is.
    cache_dir: where records are kept.
    watch: a context manager, called with what is being done.
    count_flops: called where XLA counts none, for a GPU that is not here.

  Returns:
    A dictionary: `memory`, `flops`, `bytes` (per chip; a loop's body counts
    once), `collectives`, `loop`, `seconds` and `out_of_memory`, a sentence of
    the compiler or None.
  """
  folder = pathlib.Path(cache_dir).expanduser()
  path = folder / f'{_key(lowered, target)}.json'
  if path.exists():
    return json.loads(path.read_text())
  folder.mkdir(parents=True, exist_ok=True)
  start = time.perf_counter()
  with watch('Compiling (minutes)'):
    record = _compile(lowered, target.size)
  record['seconds'] = time.perf_counter() - start
  if record['flops'] is None:
    with watch('Counting the FLOPs of'):
      record['flops'] = count_flops()
  unfinished = path.with_suffix(f'.{os.getpid()}.unfinished')
  unfinished.write_text(json.dumps(record, indent=1))
  os.replace(unfinished, path)
  return json.loads(path.read_text())


def _key(lowered, target):
  """A hash of all that the compiled program depends on."""
  compilers = ('jax-cuda12-pjrt', 'jax-cuda13-pjrt')
  versions = []
  for name in (
    'jax',
    'jaxlib',
    *(compilers if target.chip.gpu else ['libtpu']),
  ):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions.append(f'{name}=={importlib.metadata.version(name)}')
  flags = [os.environ.get(name) for name in ('XLA_FLAGS', 'LIBTPU_INIT_ARGS')]
  parts = (RECORD, target.name, versions, flags, lowered.as_text())
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _compile(lowered, num_devices):
  record = {
    'memory': None,
    'flops': 0,
    'bytes': 0,
    'collectives': [],
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
  record['collectives'] = hlo.collectives(text, num_devices)
  record['loop'] = hlo.has_loop(text)
  return record


def is_out_of_memory(error):
  """Whether memory of a device or of the host was too small."""
  return isinstance(error, MemoryError) or str(error).startswith(
    'RESOURCE_EXHAUSTED'
  )


def count_flops(config, num_classes, num_clips):
  """FLOPs of the step on one device, before any optimisation."""
  mesh = sharding.create_mesh(jax.devices('cpu')[:1])
  program = step.build(config, mesh, num_classes, num_clips)
  return program.train_step.lower(*program.arguments).cost_analysis()['flops']
