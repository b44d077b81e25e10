"""What every way to write the shift costs, beside the network without it.

  python -m tsm_jax.bench shift
  python -m tsm_jax.bench shift --models resnet --modes training
  python -m tsm_jax.bench shift --topology v5e:2x4 --dtypes bfloat16

Here, it measures time: every way has a process of its own, all take turns, and
a ratio is that of the same turn. PyTorch, where it is installed, runs the
official form, zeros and slice assignment. For a --topology that is not here,
it compiles, which takes minutes once, and counts what a chip reads and writes.
"""

import argparse
import copy
import json
import platform as python

import tsm_jax
from tsm_jax import cli, configuration, errors
from tsm_jax.bench import machine
from tsm_jax.bench.clips import compiled, contests, report

MODELS = ('resnet', 'mobilenet_v2')


def main(argv=None):
  options = _parser().parse_args(argv)
  if options.topology:
    target = compiled.parse(options.topology)
    shown = f'{target.name}, a chip of {target.size}; compiled, not measured'
    rows, versions = compiled.measure(_networks(options), target, options)
    left_out = {}
  else:
    rows, versions, left_out = contests.measure(_networks(options), options)
    shown = (
      f'{machine.processor()}; {options.repeats} turns of {options.steps} '
      'steps; medians, quartiles'
    )
  packages = ', '.join(f'{k} {v}' for k, v in sorted(versions.items()))
  shown = (
    f'tsm_jax {tsm_jax.__version__}, {packages}, Python '
    f'{python.python_version()}; {shown}.'
  )
  if options.json:
    found = {'measured': shown, 'rows': rows, 'left_out': left_out}
    print(json.dumps(found, indent=1))
    return
  print(shown, report.table(rows), sep='\n\n')
  for title, reason in left_out.items():
    print(f'\nLeft out: {title}: {reason}')


def _parser():
  parser = cli.Parser(
    'bench shift',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_config(unless=lambda args: not args.overrides)
  contests.add_flags(parser)
  parser.add_argument(
    '--models',
    nargs='+',
    choices=MODELS,
    metavar='MODEL',
    help=f'some of {", ".join(MODELS)} (all), unless there is a --config',
  )
  count = cli.at_least(1)
  add = parser.add_argument
  add('--clips', type=count, default=1, help='of each device (%(default)s)')
  add('--frames', type=count, help='of a clip (8, or those of --config)')
  add('--size', type=count, help='pixels (224, or those of --config)')
  add('--topology', default='', help='compile for one, as tsm_jax.plan does')
  add(
    '--cache_dir',
    default='~/.cache/tsm_jax',
    help='where compilations are remembered (default %(default)s)',
  )
  parser.add_switch('json', 'print JSON instead of a table')
  return parser


def _networks(options):
  """The configurations of what is compared, with the shift."""
  if options.config and options.models:
    raise errors.InputError(
      f'--models is {" ".join(options.models)}, but --config names the network '
      'already; give one of them.'
    )
  networks = [options.config] if options.config else []
  if not networks:
    names = dict.fromkeys(options.models or MODELS)
    networks = [configuration.load(f'jester:model={name}') for name in names]
  return [_sized(network, options) for network in networks]


def _sized(config, options):
  from tsm_jax.insight import choices

  config = copy.deepcopy(choices.settle(config, log=lambda line: None))
  if config.model.shift == 'none':
    raise errors.InputError(
      "model.shift is 'none', but what is compared is how the shift is "
      'written; choose another one.'
    )
  if options.frames:
    config.model.num_frames = options.frames
  if options.size:
    config.data.image_size = options.size
  return config
