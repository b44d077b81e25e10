"""How fast the devices that are here train, by the configuration.

  python -m tsm_jax.bench step --config configs/ssv2.py \\
      --compare model.shift=none --compare model.dtype=bfloat16

The true training step runs on random clips that lie on the devices already, so
that no input is waited for. All configurations run by turns, and medians are
told. What `python -m tsm_jax.plan` predicts is measured here.
"""

import statistics
import sys
import time

from absl import flags
import jax
from ml_collections import config_flags
import numpy as np
from rich import console, table
from tqdm import auto as tqdm

import tsm_jax
from tsm_jax import cli, errors, forecast, runs, sharding, step

CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'A file of configs/, with its arguments after a colon.'
)
COMPARE = flags.DEFINE_multi_string(
  'compare', [], 'One more column: field=value, or several after commas.'
)
NUM_CLASSES = flags.DEFINE_integer('num_classes', 174, 'Of the model.', 1)
STEPS = flags.DEFINE_integer('steps', 10, 'Of each turn.', 1)
REPEATS = flags.DEFINE_integer('repeats', 7, 'Turns.', 1)
flags.mark_flag_as_required('config')


def main(argv=None):
  cli.parse_flags(['python -m tsm_jax.bench step', *(argv or ())])
  mesh = sharding.create_mesh()
  columns = runs.variants(CONFIG.value, COMPARE.value)
  for config in columns.values():
    sharding.check_batch_size(
      'batch_size', config.batch_size, mesh, config.accumulation
    )
  print(_machine(mesh), flush=True)
  turns, facts = {}, {}
  for title, config in columns.items():
    print(f'Compiling {title} ...', file=sys.stderr, flush=True)
    turns[title], facts[title] = prepare(config, mesh)
  seconds = measure(turns, REPEATS.value, STEPS.value)
  show(seconds, facts, mesh.size)


def prepare(config, mesh):
  """The compiled step of a configuration, ready to run.

  Args:
    config: as from `configs/common.py`.
    mesh: as from `sharding.create_mesh`.

  Returns:
    `(run, facts)`: a function of a number of steps that returns when they are
    done, and a dictionary with clips (per step), flops (per step, all devices)
    and memory (bytes that the program takes of a device).

  Raises:
    InputError: if a field has an impossible value, or the memory of a device
      is too small.
  """
  num_clips = 1000 * config.batch_size  # decides the schedule alone
  program = step.build(config, mesh, NUM_CLASSES.value, num_clips)
  rng = np.random.default_rng(0)
  shapes = program.arguments[1]
  batch = {
    'frames': rng.integers(0, 256, shapes['frames'].shape, np.uint8),
    'label': rng.integers(
      0, NUM_CLASSES.value, shapes['label'].shape, np.int32
    ),
  }
  key = jax.random.key(config.seed)
  try:
    compiled = program.train_step.lower(*program.arguments).compile()
    batch = jax.device_put(batch, sharding.batched(mesh))
    key = jax.device_put(key, sharding.replicated(mesh))
    held = [program.init(key)]
  except jax.errors.JaxRuntimeError as error:
    raise errors.InputError(_too_large(config, error)) from None

  def run(steps):
    state = held.pop()  # donated: the next one takes its place
    for _ in range(steps):
      state, metrics = compiled(state, batch, key)
    jax.block_until_ready((state, metrics))
    held.append(state)

  try:
    run(1)
  except jax.errors.JaxRuntimeError as error:
    raise errors.InputError(_too_large(config, error)) from None
  memory = compiled.memory_analysis()
  return run, {
    'clips': config.batch_size,
    'flops': forecast.count_flops(config, NUM_CLASSES.value, num_clips),
    'memory': memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes,
  }


def _too_large(config, error):
  reason = ' '.join(str(error).split())
  if 'RESOURCE_EXHAUSTED' not in reason:
    raise error
  return (
    f'batch_size is {config.batch_size}, too large for the memory of a device '
    f'here: {reason[:200]}'
  )


def measure(turns, repeats, steps):
  """Seconds per step, of all configurations by turns.

  Returns:
    A dict of lists with a value for each repeat.
  """
  seconds = {title: [] for title in turns}
  for repeat in tqdm.trange(
    repeats + 1, desc='measure', leave=False, disable=None
  ):
    for title, run in turns.items():
      before = time.perf_counter()
      run(steps)
      if repeat:  # the first warms up
        seconds[title].append((time.perf_counter() - before) / steps)
  return seconds


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
  rates = {
    title: facts[title]['clips'] / statistics.median(times)
    for title, times in seconds.items()
  }
  first = next(iter(rates.values()))
  for title, times in seconds.items():
    fact, median = facts[title], statistics.median(times)
    rows.add_row(
      title,
      f'{1e3 * median:.1f}',
      f'{1e3 * min(times):.1f}, {1e3 * max(times):.1f}',
      f'{rates[title]:.1f}',
      f'{rates[title] / first:.3f}',
      f'{fact["flops"] / median / num_devices / 1e12:.3g}',
      f'{fact["memory"] / 2**30:.3g}',
    )
  terminal = console.Console()
  if not terminal.is_terminal:
    terminal.width = 1000
  terminal.print(rows)


def _machine(mesh):
  device = mesh.devices.flat[0]
  return (
    f'tsm_jax {tsm_jax.__version__}, jax {jax.__version__}; {mesh.size} x '
    f'{device.device_kind}. {CONFIG.value.name}, {REPEATS.value} turns of '
    f'{STEPS.value} steps, medians.'
  )
