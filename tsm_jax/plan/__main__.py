"""What a run would need and take on machines that are not here.

  python -m tsm_jax.plan --config configs/ssv2.py --topology v5e:4x4
  python -m tsm_jax.plan --config configs/ssv2.py --topology v5e:4x4 \\
      --compare model.dtype=bfloat16 --compare model.remat=block
  python -m tsm_jax.plan --config configs/ssv2.py --explain

Compiles the true training step ahead of time. That takes minutes, once: the
result is remembered. Every number is predicted. No data is needed.
"""

import contextlib
import json
import sys

from tsm_jax import cli, configuration
from tsm_jax.plan import columns, topology


@cli.command()
def main(argv=None):
  options = _parser().parse_args(argv)
  from tsm_jax import errors
  from tsm_jax.data import choosing

  target = topology.parse(options.topology) if options.topology else None
  if target is None and not options.explain:
    raise errors.InputError(
      f'--topology is missing; choose from {topology.known()}.'
    )
  if choosing.open_fields(options.config):
    options.config = _chosen(options, target)
  configs = columns.configurations(options.config, options.compare)
  if options.explain:
    print('\n'.join(list(explain(options, target))))
    return
  try:
    plan(options, configs, target)
  except OSError as error:  # for example a full disk
    raise errors.InputError(
      f'{error} (--cache_dir {options.cache_dir})'
    ) from error


def _parser():
  parser = cli.Parser('plan', description=__doc__)
  parser.add_config()
  parser.add_compare()
  add, count = parser.add_argument, cli.at_least(1)
  add('--topology', help=f'to compile for: {topology.known()}')
  parser.add_switch('explain', 'print the whole configuration; compile nothing')
  add('--dataset', default='', help='a published one (default: by the config)')
  add('--num_clips', type=count, help='for training (default: as published)')
  add('--num_classes', type=count, help='(default: as published)')
  add(
    '--frames_per_cpu',
    type=float,
    default=550.0,
    help='frames that a logical CPU of a host decodes, crops and resizes in a '
    "second; the default was measured with this project's loader and JPEG "
    'frames of 320x240, on an AMD EPYC whose logical CPUs were all busy',
  )
  add(
    '--utilisation',
    default='1.0,0.5,0.3',
    help='shares of the predicted speed, for the durations (%(default)s)',
  )
  add(
    '--cache_dir',
    default='~/.cache/tsm_jax',
    help='where compilations are remembered (default %(default)s)',
  )
  parser.add_switch('json', 'print the numbers as JSON')
  return parser


def _chosen(options, target):
  """The configuration in which nothing is open, without its data."""
  from tsm_jax.data import choosing

  classes, clips = dataset_size(options, options.config)
  chosen, choices = choosing.choose(
    options.config,
    choosing.Facts(
      clips=clips,
      labels=[str(label) for label in range(classes)],
      platform='gpu' if target and not target.shape else 'tpu',
      weights={} if options.config.init_from else None,
    ),
  )
  for field, choice in choices.items():
    print(f'{field} = {choice.value}: {choice.reason}', file=sys.stderr)
  return chosen


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
    name = options.dataset or config.data.dataset or config.data.source
    raise errors.InputError(
      f'The size of the dataset {name!r} is not published: give --num_clips '
      'and --num_classes, or --dataset, one of '
      f'{", ".join(n for n in published.READERS if published.num_train(n))}.'
    )
  return classes, clips


def explain(options, target):
  """The effective configuration and what follows from it, as lines."""
  from tsm_jax.plan import table

  config = options.config
  for name, value in sorted(configuration.flatten(config.to_dict()).items()):
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
    config.model.num_classes = classes  # the flag has the last word
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
    shares = [float(share) for share in options.utilisation.split(',')]
    assert shares and all(0 < share <= 1 for share in shares)
  except (AssertionError, ValueError):
    raise errors.InputError(
      f'--utilisation is {options.utilisation!r}; it must be shares '
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
  cli.quiet_libraries()
  sys.exit(main())
