"""Cross-validation, a run for each fold: `python -m tsm_jax.folds`.

Every clip is evaluated once, by a model that was not trained on it.
"""

import json
import signal
import statistics
import sys

from tsm_jax import cli, configuration, errors, files
from tsm_jax.data import choosing, defaults
from tsm_jax.data.sources.splitting import folds
from tsm_jax.runs import child, identity

FILE = 'folds.json'
EPILOG = f"""
Each fold is a run in WORKDIR/fold-0, WORKDIR/fold-1 and so on, in a process of
its own, one after the other. What the last evaluation of each found, the mean
and the standard deviation (of n - 1) are printed and written to WORKDIR/{FILE}.
What the configuration leaves open is chosen for the first fold, and the others
are trained with the same values.
Killed, the same command continues: folds that are done are not trained again.

example:
  python -m tsm_jax.folds --config folder \\
    --config.data.source=/path/to/videos --config.data.folds=5
"""
# Fields that change nothing of what is found.
_FREE = (
  'checkpoint.',
  'data.data_dir',
  'data.max_excluded',
  'data.num_threads',
  'data.source',  # the datasets are compared
  'fsdp',
  'log_every_steps',
  'name',
  'stall_seconds',
)


@cli.command('Interrupted; the same command continues.')
def main(argv=None):
  args = _parser().parse_args(argv)
  _check(args.config, args.asked)
  workdir = files.path(args.workdir or f'runs/{args.config.name}-folds')
  found = _read(workdir, args.config)
  for fold in range(args.config.data.folds):
    if fold < len(found['results']):
      continue
    print(f'Fold {fold} of {args.config.data.folds}:', flush=True)
    _train(args, fold, workdir / f'fold-{fold}')
    found['results'].append(
      _result(workdir / f'fold-{fold}', args.config, fold)
    )
    _check_dataset(found['results'], workdir)
    files.write(workdir / FILE, json.dumps(found, indent=1, allow_nan=False))
  found.update(summary(found['results']))
  files.write(workdir / FILE, json.dumps(found, indent=1, allow_nan=False))
  show(found)
  print(f'This is also in {workdir / FILE}.')


def _check(config, asked):
  """Raises InputError unless a configuration is one of several folds."""
  if 'data.fold' in asked:
    raise errors.InputError(
      f'data.fold is {config.data.fold}, but all folds are trained here; leave '
      'it out, or train one of them by python -m tsm_jax.main.'
    )
  defaults.Splits.from_fields(config.data)
  if not config.data.folds:
    raise errors.InputError(
      'data.folds is 0; say how many there are to be, for example '
      '--config.data.folds=5.'
    )
  if config.eval.split != 'val':
    raise errors.InputError(
      f"eval.split is {config.eval.split!r}; a fold is the split 'val'."
    )


def _read(workdir, config):
  """What is known in a workdir; of another configuration, an InputError."""
  config = json.loads(json.dumps(config.to_dict()))
  if not (workdir / FILE).exists():
    return {'config': config, 'results': []}
  found = files.read_json(workdir / FILE)
  try:
    there = configuration.flatten(found['config'])
    results = [dict(one, clips=int(one['clips'])) for one in found['results']]
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise errors.InputError(
      f'{workdir / FILE} is not what this command has written; remove it.'
    ) from error
  now = configuration.flatten(config)
  differing = [
    f'{field} (there {there[field]!r}, now {now[field]!r})'
    for field in sorted(there.keys() & now.keys())
    if there[field] != now[field] and not field.startswith(_FREE)
  ]
  if differing:
    raise errors.InputError(
      f'{workdir} holds folds of another configuration; choose another '
      f'--workdir, or the same values of: {"; ".join(differing)}.'
    )
  return {'config': config, 'results': results}


def _train(args, fold, workdir):
  """Trains a fold to its end, or ends this process as that one ended."""
  from tsm_jax.runs import stopping

  of_fold = [f'--config.data.fold={fold}', '--workdir', str(workdir)]
  if fold and not (workdir / identity.CONFIG).exists():  # it has its own then
    of_fold += _chosen(args, workdir.with_name('fold-0'))
  program = sys.executable, '-m', 'tsm_jax.main', '--config', args.recipe
  status, came = child.run([*program, *args.overrides, *of_fold])
  if not status:
    return  # also if a signal came too late for it
  if signal.SIGINT in came:
    raise KeyboardInterrupt
  if came:
    status = stopping.EXIT_AGAIN
  where = f'fold {fold} ({workdir}) ended with status {status}'
  if status < 0:
    where = (
      f'fold {fold} ({workdir}) was ended by {signal.Signals(-status).name}'
    )
    status = 128 - status
  print(f'{where}; the same command continues there.', file=sys.stderr)
  sys.exit(status)


def _chosen(args, first):
  """Flags for what the configuration leaves open, as the first fold has it.

  Folds differ by a few clips, and choices follow from their number, but the
  mean is of one recipe.
  """
  opened = choosing.open_fields(args.config)
  if not opened:
    return []
  there = configuration.load(str(first / identity.CONFIG)).to_dict()
  values = configuration.flatten(there)
  return [f'--config.{field}={values[field]}' for field in opened]


def _result(workdir, config, fold):
  """What the last evaluation of a fold has found, a dict."""
  from tsm_jax.data.store import asked, build_report
  from tsm_jax.program import metrics
  from tsm_jax.runs import again

  evaluated = [one for one in metrics.read(workdir) if 'eval/loss' in one]
  name = again.last_meta(workdir)['dataset']
  path = asked.find(name, config.data)
  (held_out,) = folds.sides(config.data.folds, fold)['val']
  return {
    'fold': fold,
    'clips': len(build_report.read(path)['num_frames'][held_out]),
    'dataset': name,
    **{
      field.removeprefix('eval/'): value
      for field, value in evaluated[-1].items()
      if field.startswith('eval/') and field != 'eval/loss'
    },
  }


def _check_dataset(results, workdir):
  """Raises InputError if the last fold was trained on another dataset."""
  first, last = results[0], results[-1]
  if last['dataset'] != first['dataset']:
    raise errors.InputError(
      f'Fold {last["fold"]} was trained on {last["dataset"]}, but fold '
      f'{first["fold"]} on {first["dataset"]}: the videos have changed; choose '
      f'another --workdir than {workdir}.'
    )


def summary(results):
  """`mean` and `std` (of n - 1) of every number of some folds, a dict.

  >>> summary([{'fold': 0, 'top1': 0.5}, {'fold': 1, 'top1': 0.75}])['mean']
  {'top1': 0.625}
  """
  fields = [f for f in results[0] if f not in ('fold', 'clips', 'dataset')]
  columns = {field: [one[field] for one in results] for field in fields}
  return {
    'mean': {f: statistics.fmean(values) for f, values in columns.items()},
    'std': {f: statistics.stdev(values) for f, values in columns.items()},
  }


def show(found):
  """Prints a table of all folds, their mean and their standard deviation."""
  fields = list(found['mean'])
  titles = [f.replace('top', 'top-').replace('_', ' ') for f in fields]

  def row(name, clips, values):
    return [name, clips, *(f'{values[field]:.2%}' for field in fields)]

  rows = [
    row(str(one['fold']), str(one['clips']), one) for one in found['results']
  ]
  clips = sum(one['clips'] for one in found['results'])
  rows.append(row('mean', str(clips), found['mean']))
  rows.append(row('standard deviation', '', found['std']))
  cli.show_rows(['fold', 'clips', *titles], rows)


def _parser():
  parser = cli.Parser(
    'folds',
    description='Trains and evaluates every fold of a cross-validation.',
    epilog=EPILOG,
  )
  parser.add_config()
  parser.add_argument(
    '--workdir', help='folder of the runs (default: runs/, the name, -folds)'
  )
  return parser


if __name__ == '__main__':
  cli.quiet_libraries()
  sys.exit(main())
