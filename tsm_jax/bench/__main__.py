"""Speeds, measured side by side: `python -m tsm_jax.bench NAME`."""

import argparse
import importlib
import sys

from tsm_jax import cli, errors

# Imported by name when one is chosen: each needs other packages.
BENCHMARKS = {
  'input': 'how many clips per second and core the input delivers',
  'step': 'how fast the devices of this machine train, without the input',
}


def main(argv=None):
  parser = argparse.ArgumentParser(
    prog='python -m tsm_jax.bench',
    description='; '.join(f'{k}: {v}' for k, v in BENCHMARKS.items()),
    epilog='Each explains its own options: NAME --help.',
  )
  parser.add_argument('name', choices=BENCHMARKS, metavar='NAME')
  parser.add_argument('options', nargs=argparse.REMAINDER)
  args = parser.parse_args(argv)
  benchmark = importlib.import_module(f'tsm_jax.bench.{args.name}')
  try:
    benchmark.main(args.options)
  except errors.InputError as error:
    cli.fail(error)
  except KeyboardInterrupt:
    print('Interrupted.', file=sys.stderr)
    sys.exit(130)


if __name__ == '__main__':
  main()
