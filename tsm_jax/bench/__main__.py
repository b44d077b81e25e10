"""Speeds, measured side by side: `python -m tsm_jax.bench NAME`."""

import argparse
import importlib
import sys

from tsm_jax import cli

# Imported by name when one is chosen: each needs other packages.
BENCHMARKS = {
  'input': 'how many clips per second and core the input delivers',
  'operations': 'where the time of a step goes, by operation',
  'scale': 'how time and memory grow with clips, networks and devices',
  'shift': 'what every way to write the shift costs',
  'step': 'how fast the devices of this machine train, without the input',
  'stream': 'what a frame of a stream costs, alone and with other cameras',
}


@cli.command()
def main(argv=None):
  parser = cli.Parser(
    'bench',
    description='; '.join(f'{k}: {v}' for k, v in BENCHMARKS.items()),
    epilog='Each explains its own options: NAME --help.',
  )
  parser.add_argument('name', choices=BENCHMARKS, metavar='NAME')
  parser.add_argument('options', nargs=argparse.REMAINDER)
  args = parser.parse_args(argv)
  benchmark = importlib.import_module(f'tsm_jax.bench.{args.name}')
  benchmark.main(args.options)


if __name__ == '__main__':
  sys.exit(main())
