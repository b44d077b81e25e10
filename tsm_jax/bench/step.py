"""How fast the devices that are here train, by the configuration.

  python -m tsm_jax.bench step --config configs/ssv2.py \\
      --compare model.shift=none --compare model.dtype=bfloat16

The true training step runs on random clips that lie on the devices already, so
that no input is waited for. All configurations run by turns, and medians are
told. What `python -m tsm_jax.plan` predicts is measured here.
"""

import contextlib
import statistics
import sys
import time

from absl import flags
import jax
from ml_collections import config_flags
import numpy as np
from rich import table

import tsm_jax
from tsm_jax import cli, errors, sharding
from tsm_jax.bench import interleave
from tsm_jax.data.sources import published
from tsm_jax.plan import forecast
from tsm_jax.program import step
from tsm_jax.runs import identity

CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'A file of configs/, with its arguments after a colon.'
)
COMPARE = flags.DEFINE_multi_string(
  'compare', [], 'One more column: field=value, or several after commas.'
)
STEPS = flags.DEFINE_integer('steps', 10, 'Of each turn.', 1)
REPEATS = flags.DEFINE_integer('repeats', 7, 'Turns.', 1)
flags.mark_flag_as_required('config')


def main(argv=None):
  cli.parse_flags(['python -m tsm_jax.bench step', *(argv or ())])
  mesh = sharding.create_mesh()
  columns = identity.variants(CONFIG.value, COMPARE.value)
  for config in columns.values():
    sharding.check_batch_size(
      'batch_size', config.batch_size, mesh, config.accumulation
    )
  print(_machine(mesh), flush=True)
  turns, facts = {}, {}
  for title, config in columns.items():
    print(f'Compiling {title} ...', file=sys.stderr, flush=True)
    with _too_large_explained(config):
      turns[title], facts[title] = prepare(config, mesh)
  seconds = interleave.measure(turns, REPEATS.value)
  show(seconds, facts, mesh.size)


def prepare(config, mesh):
  """The compiled step of a configuration, ready to run, and run once.

  Args:
    config: as from `configs/common.py`.
    mesh: as from `sharding.create_mesh`.

  Returns:
    `(run, facts)`: a function that runs so many steps and returns the seconds
    of one, and a dictionary with clips (per step), flops (per step, of all
    devices) and memory (bytes that the program takes of a device).

  Raises:
    InputError: if a field has an impossible value.
  """
  classes = published.num_classes(config)
  num_clips = 1000 * config.batch_size  # decides the schedule alone
  program = step.build(config, mesh, classes, num_clips)
  compiled = program.train_step.lower(*program.arguments).compile()
  rng = np.random.default_rng(0)
  top = {'frames': 256, 'label': classes}
  batch = {
    name: rng.integers(0, top[name], shape.shape, shape.dtype)
    for name, shape in program.arguments[1].items()
  }
  batch = jax.device_put(batch, sharding.batched(mesh))
  key = jax.device_put(jax.random.key(config.seed), sharding.replicated(mesh))
  state = program.init(key)

  def run(steps=STEPS.value):
    nonlocal state  # the old one is donated
    before = time.perf_counter()
    for _ in range(steps):
      state, metrics = compiled(state, batch, key)
    jax.block_until_ready((state, metrics))
    return (time.perf_counter() - before) / steps

  run(1)
  memory = compiled.memory_analysis()
  return run, {
    'clips': config.batch_size,
    'flops': forecast.count_flops(config, classes, num_clips),
    'memory': memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes,
  }


@contextlib.contextmanager
def _too_large_explained(config):
  try:
    yield
  except (jax.errors.JaxRuntimeError, MemoryError) as error:
    if not forecast.is_out_of_memory(error):
      raise
    raise errors.InputError(
      f'batch_size is {config.batch_size}, too large for the memory here: '
      f'{" ".join(str(error).split())[:200]}'
    ) from None


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
  cli.show(rows)


def _machine(mesh):
  device = mesh.devices.flat[0]
  return (
    f'tsm_jax {tsm_jax.__version__}, jax {jax.__version__}; {mesh.size} x '
    f'{device.device_kind}. {CONFIG.value.name}, {REPEATS.value} turns of '
    f'{STEPS.value} steps, medians.'
  )
