"""What a training step will need and take, without running it.

Every number is predicted: read from the compiled program, or computed from it
and the published figures of `chips`.
"""

import contextlib
import copy
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from tsm_jax import errors, program, sharding
from tsm_jax.plan import hlo, moves


class _Measured(NamedTuple):
  """One size of the batch: its program, what was compiled, its memory."""

  built: program.Program
  record: dict[str, Any]
  memory: dict[str, Any]


def forecast(config, compiler, num_classes, num_clips):
  """All numbers of a configuration on a topology.

  Args:
    config: a whole configuration.
    compiler: a `compilation.Compiler`, which knows the topology.
    num_classes: of the dataset.
    num_clips: of its training split.

  Returns:
    A dictionary of numbers in bytes, seconds, FLOPs and clips. Those that
    begin with `chip_` are of one chip.

  Raises:
    InputError: if the configuration does not fit the topology.
  """
  mesh = sharding.create_mesh(compiler.devices)

  def measure(batch_size):
    changed = copy.deepcopy(config)
    changed.batch_size = batch_size
    return _measure(changed, mesh, compiler, num_classes, num_clips)

  built, record, memory = measure(config.batch_size)
  chip_batch = config.batch_size // mesh.size
  numbers = {
    'chip_batch': chip_batch,
    'steps_per_epoch': built.steps_per_epoch,
    'total_steps': built.total_steps,
    'fits': memory['total'] is not None and memory['total'] <= memory['limit'],
    'memory': memory,
    'out_of_memory': record['out_of_memory'],
    'compile_seconds': record['seconds'],
    **_largest_batch(chip_batch, mesh.size, memory, measure),
  }
  if record['out_of_memory'] is None:
    numbers.update(_roofline(config, compiler.target, record))
  return numbers


def _measure(config, mesh, compiler, num_classes, num_clips):
  sharding.check_batch_size(
    'batch_size', config.batch_size, mesh, config.accumulation
  )
  target = compiler.target
  name = f'{config.name} on {target.name}, {config.batch_size} clips'
  built = program.build(config, mesh, num_classes, num_clips)
  with compiler.watch(f'Tracing {name}'):
    lowered = built.train_step.lower(*built.arguments)
  record = compiler.compile(
    lowered, name, lambda: count_flops(config, num_classes, num_clips)
  )
  return _Measured(built, record, _memory(built, record, target.chip))


def _largest_batch(chip_batch, num_chips, memory, measure):
  """The largest batch of a chip, on the line through two sizes that fit."""
  totals = {}  # bytes by clips of a chip

  def try_size(chip_batch):
    # A size that ghost batches or accumulation cannot divide is passed over.
    with contextlib.suppress(errors.InputError):
      total = measure(chip_batch * num_chips).memory['total']
      if total is not None:
        totals[chip_batch] = total

  if memory['total'] is not None:
    totals[chip_batch] = memory['total']
  smaller = [chip_batch // 2**k for k in range(1, chip_batch.bit_length())]
  for size in (*smaller, 2 * chip_batch):
    if len(totals) < 2:
      try_size(size)
  if len(totals) < 2:
    return {'largest_chip_batch': None, 'largest_from': sorted(totals)}
  if totals[max(totals)] <= totals[min(totals)]:
    # The compiler spends memory that is free: small batches may take more.
    try_size(2 * max(totals))
  low, high = sorted(totals)[-2:]
  slope = (totals[high] - totals[low]) / (high - low)
  largest = None
  if slope > 0:
    largest = max(0, math.floor(low + (memory['limit'] - totals[low]) / slope))
  return {'largest_chip_batch': largest, 'largest_from': [low, high]}


def _memory(built, record, chip):
  """Bytes of each chip by kind; `total` is None where it did not compile."""
  state, batch, _ = built.arguments
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
    return {'kinds': kinds, 'total': None, 'limit': chip.memory}
  stats = record['memory']
  known = sum(kinds.values()) - kinds['clips of the next batch']
  kinds['padding of layouts'] = max(0, stats['arguments'] - known)
  kinds['activations and temporaries'] = stats['temporaries']
  kinds['results'] = stats['outputs'] - stats['aliased']
  kinds['code'] = stats['code']
  total = sum(kinds.values())
  return {'kinds': kinds, 'total': total, 'limit': chip.memory}


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
    'moves': moves.together(record['moves'], repeats),
    'collectives': table,
    'chip_sent_bytes': sum(sent.values()),
    'seconds': seconds,
    'step_seconds': seconds[bound],
    'bound': bound,
  }


def count_flops(config, num_classes, num_clips):
  """FLOPs of the step on one device, before any optimisation."""
  mesh = sharding.create_mesh(jax.devices('cpu')[:1])
  built = program.build(config, mesh, num_classes, num_clips)
  return built.train_step.lower(*built.arguments).cost_analysis()['flops']
