"""How the cost of training grows: with clips, networks, devices, processes.

  python -m tsm_jax.bench scale > scale.md

prints Markdown. The training step of a configuration, the quickstart's by
default, runs on one device for some values of one field after the other, and
each table ends with the slopes: the exponents by which the numbers grow. For
several devices the step is compiled only, and the table has what each computes
and sends. For several processes it is the input that is measured. A flag
without values, as `--depth`, leaves a table out.
"""

import json
import os
import platform
import sys

import jax
import numpy as np

import tsm_jax
from tsm_jax import allocation, cli, configuration
from tsm_jax.bench import machine
from tsm_jax.bench.scaling import axes, devices, shared_input, tables
from tsm_jax.insight import choices

AXES = {
  'num_frames': (4, 8, 16, 32, 64),
  'batch_size': (1, 2, 4, 8, 16),
  'image_size': (32, 48, 96, 144),
  'depth': (18, 34, 50, 101),
}


def main(argv=None):
  options = _parser().parse_args(argv)
  allocation.keep_freed()  # as tsm_jax.main does
  config = options.config or configuration.load('quickstart')
  config = choices.settle(config, log=_tell).copy_and_resolve_references()
  found = {'measured': _machine(config, options)}
  if not options.json:
    print(found['measured'], flush=True)
  for axis in AXES:
    if axis == 'depth' and config.model.name != 'resnet':
      _tell(f'depth is left out: {config.model.name} has one.')
    elif values := getattr(options, axis):
      _tell(f'Measuring against {axis} ...')
      rows = axes.measure(config, axis, values, options)
      found[axis] = {'rows': rows, 'slopes': axes.slopes(axis, rows)}
      _show(options, tables.of_axis, axis, found[axis])
  if options.devices:
    _tell('Compiling for several devices ...')
    found['devices'] = devices.measure(config, options.devices)
    _show(options, tables.of_devices, found['devices'])
  if options.processes:
    _tell('Measuring the input of several processes ...')
    found['processes'] = shared_input.measure(options.processes, options)
    _show(options, tables.of_processes, found['processes'])
  if options.json:
    print(json.dumps(found, indent=1))


def _show(options, table, *args):
  if not options.json:
    print('', table(*args), sep='\n', flush=True)


def _tell(line):
  print(line, file=sys.stderr, flush=True)


def _parser():
  parser = cli.Parser('bench scale', description=__doc__)
  parser.add_config(unless=lambda args: not args.overrides)
  add, count = parser.add_argument, cli.at_least(1)
  others = {'devices': (1, 2, 4, 8), 'processes': (1, 2, 4)}
  for name, values in (AXES | others).items():
    add(
      f'--{name}',
      type=count,
      nargs='*',
      default=values,
      metavar='N',
      help=f'values of {axes.FIELDS.get(name, name)} ('
      f'{" ".join(map(str, values))})',
    )
  add('--steps', type=count, default=3, help='of a turn (%(default)s)')
  add('--repeats', type=count, default=5, help='turns (%(default)s)')
  add('--videos', type=count, default=4, help='to draw (%(default)s)')
  add(
    '--clips',
    type=count,
    default=64,
    help='that each process reads in a turn, in eights (%(default)s)',
  )
  parser.add_switch('json', 'print JSON instead of tables')
  return parser


def _machine(config, options):
  """What was measured, on what, in a sentence."""
  model, data = config.model, config.data
  return (
    f'tsm_jax {tsm_jax.__version__}, jax {jax.__version__}, NumPy '
    f'{np.__version__}, Python {platform.python_version()}; '
    f'{jax.devices()[0].device_kind}, {machine.processor()}, load '
    f'{os.getloadavg()[0]:.1f}. {config.name}: {model.name}, '
    f'{config.batch_size} clips of {model.num_frames} frames of '
    f'{data.image_size}x{data.image_size}, {model.dtype}; medians of '
    f'{options.repeats} turns of {options.steps} steps.'
  )
