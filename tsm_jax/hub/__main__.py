"""Writes a run to the Hugging Face hub, or reads one from there.

python -m tsm_jax.hub push RUN USER/NAME
python -m tsm_jax.hub pull USER/NAME OUT
"""

import argparse
import sys

from tsm_jax import cli, errors

COMMANDS = {
  'push': 'writes a run to the hub, with a model card',
  'pull': 'reads a run from the hub, verifies it and makes a workdir of it',
}


@cli.command('Interrupted: nothing is left half.')
def main(argv=None):
  parser = cli.Parser(
    'hub',
    description='; '.join(f'{k}: {v}' for k, v in COMMANDS.items()),
    epilog='Each explains its own options: NAME --help.',
  )
  parser.add_argument('name', choices=COMMANDS, metavar='NAME')
  parser.add_argument('options', nargs=argparse.REMAINDER)
  args = parser.parse_args(argv)
  lines = {'push': _push, 'pull': _pull}[args.name](args.options)
  print('\n'.join(map(errors.printable, lines)))


def _push(argv):
  parser = cli.Parser(
    'hub push',
    description='Writes a run to the hub, with a model card. The token is that '
    'of `hf auth login` or HF_TOKEN.',
  )
  add = parser.add_argument
  add('run', help='a workdir, its folder best, or one step in that')
  add('repo', help='its name on the hub: USER/NAME')
  parser.add_switch('public', 'lets everybody read it; otherwise it is private')
  add('--license', default='', help='for the card, such as apache-2.0')
  add('--dry_run', metavar='FOLDER', help='writes a new folder only')
  args = parser.parse_args(argv)
  from tsm_jax.hub import push

  if args.dry_run:
    return push.write(args.run, args.dry_run, args.repo, args.license)
  return push.push(args.run, args.repo, args.public, args.license)


def _pull(argv):
  parser = cli.Parser('hub pull', description='Reads a run from the hub.')
  parser.add_argument('repo', help='USER/NAME or USER/NAME@REVISION')
  parser.add_argument('out', help='the new workdir')
  args = parser.parse_args(argv)
  from tsm_jax.hub import pull

  return pull.pull(args.repo, args.out)


if __name__ == '__main__':
  sys.exit(main())
