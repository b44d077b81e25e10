"""Several models as one: `python -m tsm_jax.ensemble RUN RUN... [options]`.

  python -m tsm_jax.ensemble runs/rgb runs/flow --weights 1 1.5

They may differ in network, T, modality, preprocessing and dataset, as long as
the datasets hold the same videos by name. Two-stream evaluation (arXiv
1406.2199) combines a model of RGB and one of flow. The official code adds raw
logits, whose scales differ, and divides by the number of models.
"""

import json
import sys

from tsm_jax import cli, compilation_cache, errors, files
from tsm_jax.data.input import cropping, records
from tsm_jax.ensemble import matching, running, scoring
from tsm_jax.program import predictions


@cli.command()
def main(argv=None):
  args = _parser().parse_args(argv)
  out = files.path(args.out)
  if out.suffix == '.csv' or not out.name:
    raise errors.InputError(
      f'--out is {args.out!r}, but it is a JSON file; the table of what every '
      'clip got is written beside it with the ending .csv. Give another name.'
    )
  table = out.with_name(f'{out.name.removesuffix(".json")}.csv')
  compilation_cache.switch_on()
  views = records.Views(args.clips, args.crops, args.full_resolution)
  reading = running.Reading(args.split, views, args.batch_size, args.threads)
  result, report = running.ensemble(_members(args), args.mean, reading, _print)
  files.write(out, json.dumps(report, indent=1))
  step = '+'.join(str(member['step']) for member in report['members'])
  predictions.write(table, result, list(report['per_class']), step)
  _print(f'All numbers are in {out}, what every clip got in {table}.')


def _print(line):
  print(errors.printable(line))


def _members(args):
  """The members that the flags name, in the order of the checkpoints."""
  count = len(args.checkpoints)
  for name, given in (('weights', args.weights), ('sources', args.sources)):
    if given and len(given) != count:
      raise errors.InputError(
        f'--{name} has {len(given)} values for {count} checkpoints.'
      )
  weights, sources = args.weights or [1.0] * count, args.sources or [''] * count
  return [
    matching.Member(*member)
    for member in zip(args.checkpoints, weights, sources)
  ]


def _parser():
  parser = cli.Parser(
    'ensemble',
    description='Evaluates the weighted mean of the scores of several models.',
  )
  add, positive = parser.add_argument, cli.at_least(1)
  add('checkpoints', nargs='+', help='workdirs, or steps in them')
  add('--weights', nargs='+', type=float, help='one of each (default: equal)')
  add(
    '--sources',
    nargs='+',
    help='a built dataset for each (default: those they were trained on)',
  )
  add(
    '--mean',
    default='softmax',
    choices=tuple(scoring.MEANS),
    help='kind of mean',
  )
  add('--split', default='val', help='of the datasets (default %(default)s)')
  add('--clips', type=positive, default=1, help='views over time')
  add(
    '--crops', type=int, default=1, choices=cropping.CROPS, help='of each clip'
  )
  parser.add_switch('full_resolution', 'crops of the whole short side')
  add('--batch_size', type=int, default=0, help='clips (default: 1 per device)')
  add('--threads', type=positive, default=16, help='for decoding')
  add(
    '--out',
    default='ensemble.json',
    help='JSON file (default %(default)s); beside it, a table ends in .csv',
  )
  return parser


if __name__ == '__main__':
  sys.exit(main())
