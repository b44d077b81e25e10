"""What a run would need and take on machines that are not here.

  python -m tsm_jax.plan --config configs/ssv2.py --topology v5e:4x4
  python -m tsm_jax.plan --config configs/ssv2.py --topology v5e:4x4 \\
      --compare model.dtype=bfloat16 --compare model.remat=block
  python -m tsm_jax.plan --config configs/ssv2.py --explain

Compiles the true training step ahead of time. That takes minutes, once: the
result is remembered. Every number is predicted. No data is needed.
"""

import contextlib
import functools
import json
import sys

from absl import flags, logging

from tsm_jax import cli
from tsm_jax.plan import columns, topology


def main(argv=None):
  argv = sys.argv[1:] if argv is None else argv
  options = define_flags(argv)
  columns.parse(options, argv, __doc__)
  # Libraries log an error before they raise it; it is printed once, below.
  logging.set_verbosity(logging.FATAL)
  from tsm_jax import errors

  try:
    target = topology.parse(options.topology) if options.topology else None
    if target is None and not options.explain:
      raise errors.InputError(
        f'--topology is missing; choose from {topology.known()}.'
      )
    configs = columns.configurations(options)
    if options.explain:
      print('\n'.join(list(explain(options, target))))
    else:
      plan(options, configs, target)
  except errors.InputError as error:
    cli.fail(error)
  except OSError as error:  # for example a full disk
    cli.fail(f'{error} (--cache_dir {options.cache_dir})')


def define_flags(argv):
  """The flags of this command as `flags.FlagValues`, not parsed yet."""
  values = columns.new_flags(argv)
  text = functools.partial(flags.DEFINE_string, flag_values=values)
  text('topology', None, f'To compile for: {topology.known()}.')
  text('dataset', None, 'A published dataset; by default that of the config.')
  text('cache_dir', '~/.cache/tsm_jax', 'Where compilations are remembered.')
  count = functools.partial(
    flags.DEFINE_integer, default=None, lower_bound=1, flag_values=values
  )
  count('num_clips', help='Training clips; by default as published.')
  count('num_classes', help='Classes; by default as published.')
  switch = functools.partial(
    flags.DEFINE_bool, default=False, flag_values=values
  )
  switch('explain', help='Print the whole configuration; compile nothing.')
  switch('json', help='Print the numbers as JSON.')
  flags.DEFINE_float(
    'frames_per_cpu',
    550.0,
    'Frames that a logical CPU of a host decodes, crops and resizes in a '
    "second. The default was measured with this project's loader and JPEG "
    'frames of 320x240, on an AMD EPYC whose logical CPUs were all busy.',
    flag_values=values,
  )
  flags.DEFINE_list(
    'utilisation',
    ['1.0', '0.5', '0.3'],
    'Shares of the predicted speed, for the durations.',
    flag_values=values,
  )
  return values


def dataset_size(options, config):
  """`(classes, training clips)` of the dataset, by the flags or as published.

  Raises:
    InputError: if neither says it.
  """
  from tsm_jax import errors
  from tsm_jax.data.sources import published

  classes, clips = published.published(config, options.dataset)
  classes = options.num_classes or config.model.num_classes or classes
  clips = options.num_clips or clips
  if not classes or not clips:
    name = options.dataset or published.name_of(config)
    raise errors.InputError(
      f'The size of the dataset {name!r} is not published: give --num_clips '
      'and --num_classes, or --dataset, one of '
      f'{", ".join(n for n in published.READERS if published.num_train(n))}.'
    )
  return classes, clips


def explain(options, target):
  """The effective configuration and what follows from it, as lines."""
  from tsm_jax.plan import table
  from tsm_jax.runs import identity

  config = options.config
  for name, value in sorted(identity.flatten(config.to_dict()).items()):
    yield f'{name} = {value!r}'
  classes, clips = dataset_size(options, config)
  yield ''
  yield f'{clips} training clips of {classes} classes'
  for label, text in table.recipe(config, clips, target):
    yield f'{label}: {text}'


def plan(options, configs, target):
  """Prints the numbers of every configuration, side by side."""
  from tsm_jax import errors
  from tsm_jax.plan import compilation, forecast, table

  shares = utilisation(options)
  # Mistakes are found before the first compilation.
  for config in configs.values():
    list(table.recipe(config, dataset_size(options, config)[1], target))
  compiler = compilation.Compiler(target, options.cache_dir, _watch)
  numbers, rows = {}, {}
  for title, config in configs.items():
    classes, clips = dataset_size(options, config)
    found = forecast.forecast(config, compiler, classes, clips)
    found['input'] = table.host_input(
      config, target, found, options.frames_per_cpu
    )
    numbers[title] = found
    rows[title] = [
      *table.recipe(config, clips, target),
      *table.rows(config, target, found, clips, shares),
    ]
  if options.json:
    print(json.dumps(numbers, indent=1))
  else:
    table.show(options.config.name, target, rows)
  first = numbers[columns.FIRST]
  if not first['fits']:
    raise errors.InputError(table.misfit(options.config, target, first))


def utilisation(options):
  """The shares of `--utilisation`, with `--frames_per_cpu` checked as well."""
  from tsm_jax import errors

  try:
    shares = [float(share) for share in options.utilisation]
    assert shares and all(0 < share <= 1 for share in shares)
  except (AssertionError, ValueError):
    raise errors.InputError(
      f'--utilisation is {",".join(options.utilisation)!r}; it must be shares '
      'above 0, at most 1, such as 0.5,0.3.'
    ) from None
  if options.frames_per_cpu <= 0:
    raise errors.InputError(
      f'--frames_per_cpu is {options.frames_per_cpu}; it must be above 0.'
    )
  return shares


@contextlib.contextmanager
def _watch(line):
  """Shows a line and the time that the work inside takes, on stderr."""
  from rich import console, progress

  stderr = console.Console(stderr=True)
  if not stderr.is_terminal:
    print(f'{line} ...', file=sys.stderr, flush=True)
    yield
    return
  with progress.Progress(
    progress.SpinnerColumn(),
    progress.TextColumn('{task.description}'),
    progress.TimeElapsedColumn(),
    console=stderr,
    transient=True,
  ) as bar:
    bar.add_task(line)
    yield


if __name__ == '__main__':
  topology.prepare()
  main()
