"""How fast the devices of this machine train.

  python -m tsm_jax.bench step --config configs/ssv2.py \\
      --compare model.shift=none --compare model.dtype=bfloat16

Runs the true training step on random clips that are on the devices already, so
that it never waits for input. The configurations take turns; the table shows
medians. It measures what `python -m tsm_jax.plan` predicts. On a machine that
others use, too, --processor tells more.

Where PyTorch is installed, it takes the step of --config as well, eager,
channels-last and compiled, on a GPU as autocast if model.dtype is bfloat16: the
same network, with the shift of the official form, each in a process of its own.
"""

import importlib.util
import os
import statistics
import sys
import time

import jax
from rich import table

import tsm_jax
from tsm_jax import allocation, cli, sharding
from tsm_jax.bench import interleave, processes
from tsm_jax.bench.clips import contenders, contests, programs
from tsm_jax.data.sources import published
from tsm_jax.insight import choices
from tsm_jax.plan import columns, forecast


def main(argv=None):
  options = _parser().parse_args(argv)
  allocation.keep_freed()  # as tsm_jax.main does
  if options.pytorch:
    # Before JAX looks for devices: it shares the memory of a GPU with PyTorch.
    os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  mesh = sharding.create_mesh()
  options.config = choices.settle(options.config, log=_tell)
  configs = columns.configurations(options.config, options.compare)
  for config in configs.values():
    sharding.check_batch_size(
      'batch_size', config.batch_size, mesh, config.accumulation
    )
  print(_machine(options, mesh), flush=True)
  clock = time.process_time if options.processor else time.perf_counter
  turns, facts = {}, {}
  for title, config in configs.items():
    _tell(f'Compiling {title} ...')
    with programs.explained(config):
      turns[title], facts[title] = prepare(config, mesh, options.steps, clock)
  with processes.opened() as open_process:
    first = configs[columns.FIRST]
    others, left_out = pytorch(first, mesh, open_process, options)
    # The same arithmetic; what memory it takes is not known.
    fact = facts[columns.FIRST] | {'memory': None}
    facts |= dict.fromkeys(others, fact)
    seconds = interleave.measure(turns | others, options.repeats)
  show(seconds, facts, mesh.size)
  for title, reason in left_out.items():
    print(f'Left out: {title}: {reason}')


def _tell(line):
  print(line, file=sys.stderr, flush=True)


def _parser():
  parser = cli.Parser('bench step', description=__doc__)
  parser.add_config()
  parser.add_compare()
  count = cli.at_least(1)
  parser.add_argument('--steps', type=count, default=10, help='of a turn')
  parser.add_argument('--repeats', type=count, default=7, help='turns')
  parser.add_argument(
    '--processor',
    action='store_true',
    help='processor time of all threads, in the place of time',
  )
  parser.add_switch('pytorch', 'with PyTorch (the default if it is installed)')
  parser.set_defaults(pytorch=importlib.util.find_spec('torch') is not None)
  return parser


def prepare(config, mesh, steps, clock=time.perf_counter):
  """Compiles the step of a configuration and runs it once.

  Args:
    config: a whole configuration.
    mesh: from `sharding.create_mesh`.
    steps: of a turn.
    clock: a function that returns seconds.

  Returns:
    `(turn, facts)`: a function that runs the steps and returns the seconds of
    one, and a dictionary: `clips` of a step, `flops` of a step on all devices,
    `memory` in bytes that the program takes on one device.

  Raises:
    InputError: if a field has an impossible value.
  """
  turn, compiled = programs.steps(config, mesh, steps, clock)
  classes, num_clips = published.num_classes(config), programs.num_clips(config)
  return turn, {
    'clips': config.batch_size,
    'flops': forecast.count_flops(config, classes, num_clips),
    'memory': _num_bytes(compiled.memory_analysis()),
  }


def pytorch(config, mesh, open_process, options):
  """The training step of a configuration in PyTorch.

  Args:
    config: a whole configuration.
    mesh: of the devices that JAX takes.
    open_process: from `processes.opened`.
    options: with `pytorch` (whether at all), `steps` and `processor`.

  Returns:
    `(turns, left_out)`: functions as of `prepare` by title; and by title, in a
    sentence, why one cannot be measured here.
  """
  if not options.pytorch:
    return {}, {}
  config = config.copy_and_resolve_references()
  config.model.num_classes = published.num_classes(config)
  platform = mesh.devices.flat[0].platform
  rivals, missing = contests.pytorch(config, 'training', platform, mesh.size)
  opened, _, left_out = processes.prepare(
    rivals, contenders.prepare, open_process
  )
  turns = processes.turns(opened, contenders.turn, options.steps)
  clock = int(options.processor)
  return {
    title: lambda turn=turn: turn()[clock] for title, turn in turns.items()
  }, missing | left_out


def _num_bytes(memory):
  return (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  )


def show(seconds, facts, num_devices):
  """Prints the table."""
  rows = table.Table(
    'configuration',
    'ms per step',
    'from, to',
    'clips/s',
    'x the first',
    'TFLOP/s per device',
    'GiB per device',
  )
  speeds = {
    title: facts[title]['clips'] / statistics.median(times)
    for title, times in seconds.items()
  }
  first = next(iter(speeds.values()))
  for title, times in seconds.items():
    fact, median = facts[title], statistics.median(times)
    rows.add_row(
      title,
      f'{1e3 * median:.1f}',
      f'{1e3 * min(times):.1f}, {1e3 * max(times):.1f}',
      f'{speeds[title]:.1f}',
      f'{speeds[title] / first:.3f}',
      f'{fact["flops"] / median / num_devices / 1e12:.3g}',
      '' if fact['memory'] is None else f'{fact["memory"] / 2**30:.3g}',
    )
  cli.show(rows)


def _machine(options, mesh):
  device = mesh.devices.flat[0]
  kind = ' of processor time' if options.processor else ''
  return (
    f'tsm_jax {tsm_jax.__version__}, jax {jax.__version__}; {mesh.size} x '
    f'{device.device_kind}. {options.config.name}, {options.repeats} turns of '
    f'{options.steps} steps, medians{kind}.'
  )
