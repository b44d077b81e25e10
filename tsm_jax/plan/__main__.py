"""What a run would need and take on machines that are not here.

  python -m tsm_jax.plan --config configs/ssv2.py --topology v5e:4x4
  python -m tsm_jax.plan --config configs/ssv2.py --topology v5e:4x4 \\
      --compare model.dtype=bfloat16 --compare model.remat=block
  python -m tsm_jax.plan --config configs/ssv2.py --explain

The true training step is compiled ahead of time, which takes minutes and is
then remembered. Every number is predicted. No data is needed.
"""

import contextlib
import json
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from tsm_jax import cli
from tsm_jax.plan import topology

CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'A file of configs/, with its arguments after a colon.'
)
TOPOLOGY = flags.DEFINE_string(
  'topology', None, f'To compile for: {topology.known()}.'
)
COMPARE = flags.DEFINE_multi_string(
  'compare', [], 'One more column: field=value, or several after commas.'
)
EXPLAIN = flags.DEFINE_bool(
  'explain', False, 'Print the effective configuration; compile nothing.'
)
DATASET = flags.DEFINE_string(
  'dataset', None, 'A published dataset; by default that of the config.'
)
NUM_CLIPS = flags.DEFINE_integer(
  'num_clips', None, 'Of the training split; by default as published.', 1
)
NUM_CLASSES = flags.DEFINE_integer(
  'num_classes', None, 'Of the dataset; by default as published.', 1
)
FRAMES_PER_CPU = flags.DEFINE_float(
  'frames_per_cpu',
  550.0,
  'Frames that a logical CPU of a host decodes, crops and resizes per second; '
  "the default was measured with this project's loader and JPEG frames of "
  '320x240, on an AMD EPYC whose logical CPUs were all busy.',
)
UTILISATION = flags.DEFINE_list(
  'utilisation', ['1.0', '0.5', '0.3'], 'Shares of the predicted speed.'
)
CACHE_DIR = flags.DEFINE_string(
  'cache_dir', '~/.cache/tsm_jax', 'Where compilations are kept.'
)
JSON = flags.DEFINE_bool('json', False, 'Print numbers for machines.')
flags.mark_flag_as_required('config')


def main(argv):
  del argv
  logging.set_verbosity(logging.FATAL)  # an error is told once, below
  from tsm_jax import errors
  from tsm_jax.runs import identity

  try:
    target = topology.parse(TOPOLOGY.value) if TOPOLOGY.value else None
    if target is None and not EXPLAIN.value:
      raise errors.InputError(
        f'--topology is missing; choose from {topology.known()}.'
      )
    columns = identity.variants(CONFIG.value, COMPARE.value)
    if EXPLAIN.value:
      print('\n'.join(list(explain(CONFIG.value, target))))
      return
    plan(columns, target)
  except errors.InputError as error:
    cli.fail(error)
  except OSError as error:  # for example a full disk
    cli.fail(f'{error} (--cache_dir {CACHE_DIR.value})')


def dataset_size(config):
  """`(classes, training clips)` of the dataset, by the flags or as published.

  Raises:
    InputError: if neither says it.
  """
  from tsm_jax import errors
  from tsm_jax.data.sources import published

  classes, clips = published.published(config, DATASET.value)
  classes = NUM_CLASSES.value or config.model.num_classes or classes
  clips = NUM_CLIPS.value or clips
  if not classes or not clips:
    name = DATASET.value or config.data.dataset or config.data.source
    raise errors.InputError(
      f'The size of the dataset {name!r} is not published: give --num_clips '
      'and --num_classes, or --dataset, one of '
      f'{", ".join(n for n in published.READERS if published.num_train(n))}.'
    )
  return classes, clips


def explain(config, target):
  """The effective configuration and what follows from it, as lines."""
  from tsm_jax.plan import table
  from tsm_jax.runs import identity

  for name, value in sorted(identity.flatten(config.to_dict()).items()):
    yield f'{name} = {value!r}'
  classes, clips = dataset_size(config)
  yield ''
  yield f'{clips} training clips of {classes} classes'
  for label, text in table.recipe(config, clips, target):
    yield f'{label}: {text}'


def plan(columns, target):
  """Prints the numbers of every configuration, side by side."""
  from tsm_jax import errors
  from tsm_jax.plan import forecast, table

  try:
    shares = [float(share) for share in UTILISATION.value]
    assert shares and all(0 < share <= 1 for share in shares)
  except (AssertionError, ValueError):
    raise errors.InputError(
      f'--utilisation is {",".join(UTILISATION.value)!r}; it must be shares '
      'above 0, at most 1, such as 0.5,0.3.'
    ) from None
  if FRAMES_PER_CPU.value <= 0:
    raise errors.InputError(
      f'--frames_per_cpu is {FRAMES_PER_CPU.value}; it must be above 0.'
    )
  for config in columns.values():  # told before the first is compiled
    list(table.recipe(config, dataset_size(config)[1], target))
  numbers, rows = {}, {}
  for title, config in columns.items():
    classes, clips = dataset_size(config)
    numbers[title] = forecast.forecast(
      config, target, classes, clips, CACHE_DIR.value, _watch
    )
    numbers[title]['input'] = table.host_input(
      config, target, numbers[title], FRAMES_PER_CPU.value
    )
    rows[title] = [
      *table.recipe(config, clips, target),
      *table.rows(config, target, numbers[title], clips, shares),
    ]
  if JSON.value:
    print(json.dumps(numbers, indent=1))
  else:
    table.show(CONFIG.value.name, target, rows)
  first = numbers['as configured']
  if not first['fits']:
    raise errors.InputError(table.misfit(CONFIG.value, target, first))


@contextlib.contextmanager
def _watch(line):
  """Shows a line and the time that what is inside takes, on stderr."""
  from rich import console, progress

  columns = (
    progress.SpinnerColumn(),
    progress.TextColumn('{task.description}'),
    progress.TimeElapsedColumn(),
  )
  stderr = console.Console(stderr=True)
  if not stderr.is_terminal:
    print(f'{line} ...', file=sys.stderr, flush=True)
    yield
    return
  with progress.Progress(*columns, console=stderr, transient=True) as bar:
    bar.add_task(line)
    yield


if __name__ == '__main__':
  topology.prepare()
  app.run(main, flags_parser=cli.parse_flags)
