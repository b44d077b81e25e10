"""What `python -m tsm_jax.stream tune` and `eval` do."""

import json
import math
import sys

from tsm_jax import checkpoints, cli, errors, files, progress
from tsm_jax.stream import flags, recordings
from tsm_jax.stream.events import metrics, rule_file, rules, whole
from tsm_jax.stream.events import tune as tuning
from tsm_jax.stream.output import numbers, timeline, trade_off

ALARMS = 6.0  # per hour


def tune(argv):
  """Chooses a rule, and writes it into the workdir of the checkpoint."""
  args = _tune_parser().parse_args(argv)
  if not 0 <= args.false_alarms_per_hour < math.inf:
    raise errors.InputError(
      f'--false_alarms_per_hour is {args.false_alarms_per_hour}; it must be 0 '
      'or more.'
    )
  trained = checkpoints.restore_model(args.checkpoint, _note)
  usual, _ = rule_file.choose(
    args.checkpoint, trained, rule_file.DEFAULT, args.background
  )
  listed, found = recordings.load(trained, args, usual)
  rule = tuning.tune(
    found,
    usual.background,
    args.false_alarms_per_hour,
    lambda windows: progress.bar(windows, 'tune', leave=False),
  )
  points = tuning.trade_off(found, rule)
  result = found.evaluate(rule)
  folder = rule_file.workdir(args.checkpoint)
  path = folder / rule_file.FILE
  report = numbers.as_dict(result, trained.labels)
  rule_file.write(
    path,
    rule,
    trained.labels,
    step=trained.step,
    interval=found.interval,
    list=listed.name,
    list_sha256=listed.sha256,
    split=listed.split,
    objective='mean average precision of the candidates, averaged over '
    f'temporal IoU {metrics.LEVELS[0]} to {metrics.LEVELS[-1]}, and recall at '
    f'{args.false_alarms_per_hour:g} false alarms per hour',
    false_alarms_per_hour=args.false_alarms_per_hour,
    numbers=report,
    trade_off=points,
  )
  picture = path.with_suffix('.png')
  trade_off.draw(points, args.false_alarms_per_hour, picture)
  cli.show(*numbers.tables(result, trained.labels), numbers.trade_off(points))
  print(f'The rule is in {path}, and is used from now on; see {picture}.')
  if result.false_alarms_per_hour > args.false_alarms_per_hour:
    _note(
      f'No rule that was tried has {args.false_alarms_per_hour:g} false alarms '
      'per hour or fewer; this is the nearest one.'
    )


def evaluate(argv):
  """Compares the events of recordings with the true ones."""
  args = _eval_parser().parse_args(argv)
  trained = checkpoints.restore_model(args.checkpoint, _note)
  rule, origin = rule_file.choose(
    args.checkpoint, trained, args.rule, args.background
  )
  if args.bgr:
    rule = rule._replace(bgr=True)
  listed, found = recordings.load(trained, args, rule)
  _note(f'Events are decided by {origin}.')
  events, result = found.decide(rule), found.evaluate(rule)
  folder = rule_file.workdir(args.checkpoint)
  report = {
    'rule': rules.as_dict(rule),
    'step': trained.step,
    'list': listed.name,
    'list_sha256': listed.sha256,
    'split': listed.split,
    **numbers.as_dict(result, trained.labels),
    'recordings': [
      {
        'path': str(path),
        'true': [truth._asdict() for truth in truths],
        'found': [event._asdict() for event in row],
      }
      for path, truths, row in zip(listed.truths, found.truths, events)
    ],
  }
  text = json.dumps(report, indent=1, allow_nan=False)
  path = folder / f'events_{listed.split or "all"}.json'
  files.write(path, text)
  if args.picture:
    _draw(args.picture, found, rule, events)
  if args.json:
    print(text)
    return
  cli.show(*numbers.tables(result, trained.labels))
  print(f'All numbers and events are in {path}.')


def _draw(path, found, rule, events):
  """The first recording as a picture."""
  scores = found.scores[0]
  probabilities = whole.smooth(scores, rule.window)
  picture = timeline.draw(
    scores.times, probabilities, found.labels, events[0], found.truths[0]
  )
  files.write(path, picture)


def _tune_parser():
  parser = cli.Parser(
    'stream tune',
    description='Chooses when scores over time are an event, by recordings '
    'whose events are known: the best mean average precision, and the most '
    'events that are found at few false alarms. The rule is kept in the '
    f'workdir of the checkpoint, in {rule_file.FILE}.',
  )
  _add_shared(parser)
  parser.add_argument(
    '--false_alarms_per_hour',
    type=float,
    default=ALARMS,
    help='at most, of recording (default %(default)g)',
  )
  return parser


def _eval_parser():
  parser = cli.Parser(
    'stream eval',
    description='Compares the events that a checkpoint finds in recordings '
    'with the true ones. All numbers are kept in its workdir.',
  )
  _add_shared(parser)
  add = parser.add_argument
  add(
    '--rule',
    default='',
    metavar='FILE',
    help='a file that tune wrote (by default that of the workdir), or '
    f'{rule_file.DEFAULT}, or {rule_file.OFFICIAL_DEMO}',
  )
  parser.add_switch('bgr', 'exchange blue and red, as the official demo does')
  parser.add_switch('json', 'print JSON instead of tables')
  add('--picture', metavar='PNG', help='scores and events of the first one')
  return parser


def _add_shared(parser):
  add = parser.add_argument
  add('checkpoint', help='a workdir, or one step in it')
  add(
    'list',
    nargs='?',
    default='',
    help='recordings with the start and end of their events (default: those '
    'of the training)',
  )
  add(
    '--split', default='', help='of the list (default: val, if it has splits)'
  )
  add(
    '--background',
    action='append',
    default=[],
    metavar='LABEL',
    help='a label that is no event; by default that of the training',
  )
  pace = parser.add_mutually_exclusive_group()
  for flag, text in (
    ('every', 'seconds between two frames; by default as in training'),
    ('fps', 'the same as frames per second'),
  ):
    pace.add_argument(f'--{flag}', type=flags.positive, help=text)


def _note(line):
  print(errors.printable(line), file=sys.stderr)
