"""Draws the curves of several runs into one picture.

`python -m tsm_jax.report --out FILE WORKDIR...`
"""

import sys

from tsm_jax import cli, errors, files
from tsm_jax.insight import drawing
from tsm_jax.program import metrics


@cli.command()
def main(argv=None):
  parser = cli.Parser(
    'report',
    description='Draws the curves of one or more runs into one picture.',
  )
  parser.add_argument('workdirs', nargs='+', metavar='WORKDIR')
  parser.add_argument('--out', default='curves.png', help='the PNG to write')
  args = parser.parse_args(argv)
  for workdir in args.workdirs:
    if not (files.path(workdir) / metrics.FILE).exists():
      raise errors.InputError(
        f'{workdir!r} holds no {metrics.FILE}; give workdirs of runs.'
      )
  drawing.draw_curves(args.workdirs, args.out)


if __name__ == '__main__':
  sys.exit(main())
