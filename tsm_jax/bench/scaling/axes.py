"""What a training step costs against one field of its configuration."""

import copy

import jax
import numpy as np

from tsm_jax import sharding
from tsm_jax.bench import interleave
from tsm_jax.bench.clips import contenders, programs

# The fields that can be varied, by the name of their flag.
FIELDS = {
  'num_frames': 'model.num_frames',
  'batch_size': 'batch_size',
  'image_size': 'data.image_size',
  'depth': 'model.depth',
}
# What is measured, and what the compiler says of the program.
CLOCKS = ('time', 'processor_time')
FACTS = ('flops', 'bytes', 'temporaries')


def vary(config, axis, value):
  """A copy of a configuration with another value of one of `FIELDS`.

  Whole networks have different depths: `stage_sizes` does not count there.
  """
  changed = copy.deepcopy(config)  # keeps the references: the rate of a batch
  fields = {FIELDS[axis]: value}
  if axis == 'depth':
    fields['model.stage_sizes'] = ()
  changed.update_from_flattened_dict(fields)
  return changed


def measure(config, axis, values, options):
  """Measures the training step for all values of one field, in turns.

  Args:
    config: a whole configuration.
    axis: a name of `FIELDS`.
    values: of that field.
    options: with `steps` of a turn and the number of turns, `repeats`.

  Returns:
    A list of dicts: the axis' name with its value; `time` and
    `processor_time`, seconds of a step, medians; `quartiles` of the latter;
    `flops`, `bytes` that its operations read and write, and `temporaries`,
    bytes of memory beside the state and the batch.

  Raises:
    InputError: if a field has an impossible value.
  """
  turns, facts = {}, {}
  for value in values:
    changed = vary(config, axis, value)
    turns[value], facts[value] = prepare(changed, options.steps)
  measured = interleave.measure(turns, options.repeats)
  rows = []
  for value, seconds in measured.items():
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75), axis=0)
    rows.append(
      {
        axis: value,
        **dict(zip(CLOCKS, middle.tolist())),
        'quartiles': [float(low[1]), float(high[1])],
        **facts[value],
      }
    )
  return rows


def prepare(config, steps):
  """Compiles the training step for one device, and runs it once.

  Args:
    config: a whole configuration.
    steps: of a turn.

  Returns:
    `(turn, facts)`: a function that runs the steps and returns the seconds of
    one `[2]`, by `CLOCKS`; and what `describe` says.
  """
  mesh = sharding.create_mesh(jax.devices()[:1])
  turn, compiled = programs.steps(config, mesh, steps, contenders.now)
  return turn, describe(compiled)


def describe(compiled):
  """A dict of `FACTS` of a compiled program, for each of its devices."""
  costs = compiled.cost_analysis()
  return {
    'flops': costs['flops'],
    'bytes': costs['bytes accessed'],
    'temporaries': compiled.memory_analysis().temp_size_in_bytes,
  }


def slope(values, measured):
  """The exponent p of `measured ~ values ** p`, by least squares of logarithms.

  >>> round(slope([4, 8, 16], [3, 6, 12]), 6)
  1.0

  Args:
    values: positive numbers.
    measured: as many.

  Returns:
    The exponent, or None for fewer than two values or one that is not positive.
  """
  if len(set(values)) < 2 or min(measured) <= 0:
    return None
  return float(np.polyfit(np.log(values), np.log(measured), 1)[0])


def slopes(axis, rows):
  """The `slope` of each clock and fact of the rows of `measure`."""
  values = [row[axis] for row in rows]
  return {
    name: slope(values, [row[name] for row in rows]) for name in CLOCKS + FACTS
  }
