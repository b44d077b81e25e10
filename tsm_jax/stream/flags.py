"""The flags of `predict --stream`, some of which `serve` has, too."""

import argparse
import math

from tsm_jax import errors
from tsm_jax.stream.output import kinds


def add(parser):
  """Adds `--stream` and what belongs to it, after all flags for labels."""
  of_labels = {}
  for action in parser._actions:
    if action.option_strings and action.dest not in ('help', 'json'):
      of_labels.setdefault(action.dest, action.default)
  parser.set_defaults(of_labels=of_labels)
  group = parser.add_argument_group(
    '--stream',
    'Says when something happens in videos of any length, in a camera (its '
    'index, such as 0, or an rtsp:// address) or in what comes through a pipe '
    '(-), by a model that was trained with direction=past.',
  )
  group.add_argument(
    '--stream',
    action='store_true',
    help='print events instead of labels; --json prints a line for each',
  )
  group.add_argument(
    '--no_stream',
    '--nostream',
    dest='stream',
    action='store_false',
    help=argparse.SUPPRESS,
  )
  for flag, text in (
    ('every', 'seconds between two frames; by default as in training'),
    ('fps', 'the same as frames per second'),
    ('seconds', 'end after so many seconds'),
  ):
    group.add_argument(f'--{flag}', type=positive, help=text)
  add_rule(group)
  kinds.add_flags(group)


def add_rule(group):
  """Adds the flags of the rule by which something happens."""
  group.add_argument(
    '--rule',
    default='',
    metavar='FILE',
    help='a file from python -m tsm_jax.stream tune, or default, or '
    'official_demo; by default the file in the workdir, if there is one',
  )
  group.add_argument(
    '--background',
    action='append',
    default=[],
    metavar='LABEL',
    help='a label that is no event; by default that of the training',
  )
  group.add_argument(
    '--bgr',
    action='store_true',
    help='exchange blue and red, as the official demo does',
  )


def positive(text):
  """The type of a flag that is a positive number."""
  if not 0 < float(text) < math.inf:
    raise argparse.ArgumentTypeError(f'is {text}; it must be positive')
  return float(text)


positive.__name__ = 'float'  # argparse names it when the text is no number


def check(args):
  """Raises InputError if flags do not fit together."""
  if not args.stream:
    own = ('every', 'fps', 'seconds', 'rule', 'background', 'bgr', *kinds.FLAGS)
    if given := [flag for flag in own if getattr(args, flag)]:
      raise errors.InputError(f'--{given[0]} needs --stream.')
    return
  for flag, default in args.of_labels.items():
    if getattr(args, flag) != default:
      raise errors.InputError(
        f'--{flag} chooses or counts the clips of a label; --stream sees the '
        'whole video, and has no such flag.'
      )
  if args.every and args.fps:
    raise errors.InputError(
      '--every and --fps say the same twice; give one of them.'
    )
  kinds.check(args)


def interval(args, trained):
  """Seconds between two frames, by the flags or the checkpoint.

  Args:
    args: with every and fps, None if not given.
    trained: seconds of the checkpoint, or None.

  Raises:
    InputError: if neither says it.
  """
  if args.every or args.fps:
    return args.every or 1 / args.fps
  if trained is None:
    raise errors.InputError(
      'The checkpoint does not say how many seconds are between the frames of '
      'its clips; give --every, in seconds, or --fps.'
    )
  return trained
