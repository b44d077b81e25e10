"""The flags of a command that say which clips are held out."""

from tsm_jax.data import defaults

USUAL = defaults.Splits()._asdict()
del USUAL['fold']  # a run has one, a dataset all of them


def add(parser):
  """Adds the flags to a `cli.Parser`; they are called as the fields are."""
  add = parser.add_argument
  add(
    '--holdout',
    type=float,
    default=USUAL['holdout'],
    help="share of each class for 'val', where there are no splits "
    '(default %(default)s)',
  )
  add(
    '--holdout_seed',
    type=int,
    default=USUAL['holdout_seed'],
    help='another one holds out others (default %(default)s)',
  )
  add(
    '--holdout_rule',
    choices=defaults.RULES,
    default=USUAL['holdout_rule'],
    help="'hash' is that of earlier versions (default %(default)s)",
  )
  add(
    '--group',
    default=USUAL['group'],
    metavar='PATTERN',
    help=r"what a clip belongs to, in its path, such as '(person\d+)': it is "
    'held out as a whole',
  )
  add(
    '--folds',
    type=int,
    default=USUAL['folds'],
    help='for cross-validation; 0: none (default %(default)s)',
  )


def fields(args):
  """The fields of `defaults.Splits` among what was parsed, a dict."""
  return {name: getattr(args, name) for name in USUAL}
