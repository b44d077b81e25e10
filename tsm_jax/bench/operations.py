"""Where the time of a step goes, by operation of the compiled program.

  python -m tsm_jax.bench operations --config configs/ssv2.py \\
      --config.batch_size=1 --mode inference

Runs the training step, or the forward pass of an evaluation, on random clips
under JAX's profiler, and adds up the operations of each layer. On a CPU one
core runs them one after the other, so that the time of each is its own.
"""

import json
import os
import pathlib
import re
import tempfile
import time
from typing import NamedTuple

import jax
import numpy as np

import tsm_jax
from tsm_jax import allocation, cli, errors, sharding
from tsm_jax.bench import machine, markdown
from tsm_jax.bench.clips import contests, programs
from tsm_jax.data.sources import published
from tsm_jax.insight import choices
from tsm_jax.plan import hlo

# The operations inside of these have times of their own.
_CONTAINERS = ('call', 'conditional', 'while')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_BLOCK = re.compile(r'(layer|block)[\d_]+')  # residual blocks


class Row(NamedTuple):
  """Operations that are shown together.

  Attributes:
    name: what they are.
    ms: milliseconds of a step.
    count: how many there are.
  """

  name: str
  ms: float
  count: int


def main(argv=None):
  options = _parser().parse_args(argv)
  one_core()
  allocation.keep_freed()  # as tsm_jax.main does
  config = choices.settle(options.config, log=lambda line: None)
  config = config.copy_and_resolve_references()
  config.model.num_classes = published.num_classes(config)
  mesh = sharding.create_mesh(jax.devices()[:1])
  sharding.check_batch_size(
    'batch_size', config.batch_size, mesh, config.accumulation
  )
  with programs.explained(config):
    run, compiled = programs.runner(config, options.mode, mesh)
    run()
  times, ms = profiled(run, options.steps)
  name = single if options.each else of_layer
  rows = summed(times, compiled.as_text(), name)
  measured = _machine(config, options)
  if options.json:
    found = {'measured': measured, 'ms': ms}
    print(json.dumps({**found, 'rows': [r._asdict() for r in rows]}, indent=1))
    return
  total = sum(row.ms for row in rows)
  print(measured, end='\n\n')
  print(_table(rows, total, options.rows), end='\n\n')
  print(f'Operations take {total:.1f} ms of a step of {ms:.1f} ms.')


def _parser():
  parser = cli.Parser('bench operations', description=__doc__)
  parser.add_config()
  count = cli.at_least(1)
  parser.add_argument(
    '--mode', choices=contests.MODES, default='training', help='(%(default)s)'
  )
  add = parser.add_argument
  add('--steps', type=count, default=5, help='to run (%(default)s)')
  add('--rows', type=count, default=20, help='to show (%(default)s)')
  parser.add_switch('each', 'one row for each operation, with its result')
  parser.add_switch('json', 'print JSON, with all rows')
  return parser


def one_core():
  """Leaves this process one core, before JAX counts them."""
  if hasattr(os, 'sched_setaffinity'):  # not on macOS
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def profiled(run, steps):
  """Runs steps under JAX's profiler.

  Args:
    run: a function that runs one step and waits for it.
    steps: how many.

  Returns:
    `(times, ms)`: milliseconds in a step of each operation by its name in the
    program, and of the step by the clock, medians.

  Raises:
    InputError: if the profile of this device names no operations.
  """
  clock = []
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      for _ in range(steps):
        begun = time.perf_counter()
        run()
        clock.append(1e3 * (time.perf_counter() - begun))
    (path,) = pathlib.Path(folder).rglob('*.xplane.pb')
    data = jax.profiler.ProfileData.from_file(str(path))
    found = _durations(data)
  if not found:
    raise errors.InputError(
      f"JAX's profile of {jax.devices()[0].device_kind} names no operations; "
      'bench operations needs a device whose profile does, such as a CPU.'
    )
  times = {name: of_step(events, steps) for name, events in found.items()}
  return times, float(np.median(clock))


def _durations(data):
  """Milliseconds of all runs of each operation, in their order in time."""
  found = {}
  for plane in data.planes:
    for line in plane.lines:
      for event in line.events:
        operation = dict(event.stats).get('hlo_op')
        # The end of an operation that went on elsewhere is an event, too.
        if operation and not event.name.startswith('end: '):
          times = found.setdefault(operation, [])
          times.append((event.start_ns, event.duration_ns / 1e6))
  return {
    name: [ms for _, ms in sorted(times)] for name, times in found.items()
  }


def of_step(events, steps):
  """What an operation takes in a step, which may run it several times.

  Args:
    events: a number for each run, in the order of time.
    steps: how many there were.

  Returns:
    The median of the sums of the steps, or their mean if a step does not run
    it as often as another.
  """
  if len(events) % steps:
    return sum(events) / steps
  return float(np.median(np.sum(np.reshape(events, (steps, -1)), axis=1)))


def summed(times, text, name):
  """Adds up what has the same name, and sorts by time.

  Args:
    times: milliseconds by operation.
    text: of the compiled program, from `as_text()`.
    name: a function from an operation and the computations of the program (see
      `hlo.parse`) to a name, such as `of_layer`.

  Returns:
    A list of `Row`; operations that contain others are left out.
  """
  computations, _ = hlo.parse(text)
  known = {line.name: line for lines in computations.values() for line in lines}
  rows = {}
  for operation, ms in times.items():
    line = known.get(operation)
    if line is None or line.opcode not in _CONTAINERS:
      title = name(line, computations) if line else operation
      rows.setdefault(title, []).append(ms)
  found = [Row(title, sum(ms), len(ms)) for title, ms in rows.items()]
  return sorted(found, key=lambda row: -row.ms)


def single(line, computations):
  """An operation by itself: its layer, its name and the shape of its result."""
  return f'{of_layer(line, computations)}, {line.name} {line.shape}'


def of_layer(line, computations):
  """The layer of an operation, and what it computes there.

  Residual blocks have no numbers here, so that they are added up.
  """
  path = _path(line, computations)
  if not path:
    return line.opcode
  *modules, primitive = path.split('/')
  where = [part for part in modules if re.fullmatch(r'\w+', part)]
  where = [part for part in where if part != 'cond' and 'branch_' not in part]
  layer = where[-1] if where else 'network'
  layer = 'block' if _BLOCK.fullmatch(layer) else layer
  # A gradient is what JAX transposed.
  direction = ', backward' if 'transpose(' in path else ''
  return f'{layer}: {primitive}{direction}'


def _path(line, computations):
  """The name that JAX gave an operation, or the last one of a fusion's."""
  if match := _OP_NAME.search(line.rest):
    return match[1]
  for called in hlo.CALLED.findall(line.rest):
    for inner in reversed(computations.get(called, ())):
      if match := _OP_NAME.search(inner.rest):
        return match[1]
  return None


def _table(rows, total, shown):
  """Markdown: the first rows, and the others together."""
  if rest := rows[shown:]:
    ms, count = (sum(x) for x in zip(*(row[1:] for row in rest)))
    rows = [*rows[:shown], Row('others', ms, count)]
  return markdown.table(
    ['operations', 'ms of a step', 'share', 'how many'],
    [
      [row.name, f'{row.ms:.2f}', f'{row.ms / total:.1%}', str(row.count)]
      for row in rows
    ],
  )


def _machine(config, options):
  size, model = config.data.image_size, config.model
  return (
    f'tsm_jax {tsm_jax.__version__}, jax {jax.__version__}; '
    f'{jax.devices()[0].device_kind}; {machine.processor()}. {config.name}, '
    f'{options.mode}: batch_size={config.batch_size}, {model.num_frames} '
    f'frames of {size}x{size}, {model.dtype}; {options.steps} steps, medians.'
  )
