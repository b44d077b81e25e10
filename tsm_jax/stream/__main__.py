"""When things happen in long recordings: choosing a rule, and its numbers.

  python -m tsm_jax.stream tune CHECKPOINT [LIST]
  python -m tsm_jax.stream eval CHECKPOINT [LIST]

LIST is a list of recordings with the start and end of every event in them; by
default, that of the training.
"""

import argparse
import sys

from tsm_jax import cli, compilation_cache

COMMANDS = {
  'tune': 'chooses thresholds by validation recordings, for the checkpoint',
  'eval': 'compares the events of recordings with the true ones',
}


@cli.command()
def main(argv=None):
  parser = cli.Parser(
    'stream',
    description='; '.join(f'{k}: {v}' for k, v in COMMANDS.items()),
    epilog='Each explains its own options: NAME --help.',
  )
  parser.add_argument('name', choices=COMMANDS, metavar='NAME')
  parser.add_argument('options', nargs=argparse.REMAINDER)
  args = parser.parse_args(argv)
  from tsm_jax.stream import commands

  compilation_cache.switch_on()
  {'tune': commands.tune, 'eval': commands.evaluate}[args.name](args.options)


if __name__ == '__main__':
  sys.exit(main())
