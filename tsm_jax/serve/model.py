"""The model that is served, as a session for all viewers."""

from typing import NamedTuple

from tsm_jax import checkpoints, files
from tsm_jax.export import card, runtimes
from tsm_jax.stream import flags, session
from tsm_jax.stream.events import rule_file, rules


class Served(NamedTuple):
  """A model that waits for viewers.

  Attributes:
    session: a `session.Session`, compiled.
    interval: seconds between two steps of a viewer.
    hello: what viewers are told of it, a dict for JSON.
  """

  session: session.Session
  interval: float
  hello: dict


def load(args, log):
  """The model that the arguments of the command name.

  Args:
    args: of the command.
    log: called with lines about it.

  Returns:
    A `Served`.

  Raises:
    InputError: if there is none, or it is not one for streams.
  """
  exported = (files.path(args.model) / card.FILE).exists()
  opened = _open_export if exported else _open_checkpoint
  streams, short_side, origin = opened(args, log)
  interval = flags.interval(args, streams.interval)
  log(f'A frame is shown every {interval:.3g} s; events by {origin}.')
  streams.compile()
  hello = {
    'labels': streams.labels,
    'interval': interval,
    'short_side': short_side,
    'about': f'A model of {len(streams.labels)} classes, which is shown a '
    f'frame every {interval:.3g} s.',
  }
  return Served(streams, interval, hello)


def _open_checkpoint(args, log):
  """`(session, short side of a stored clip, origin of the rule)`."""
  trained = checkpoints.restore_model(args.model, log)
  rule, origin = rule_file.choose(
    args.model, trained, args.rule, args.background
  )
  rule = rule._replace(bgr=rule.bgr or args.bgr)
  streams = session.Session(trained, args.slots, rule)
  return streams, trained.preprocessing.short_side, origin


def _open_export(args, log):
  """The same of an export, which runs in its own runtime."""
  opened = runtimes.open(args.model, log=log)
  rule, origin = export_rule(args, opened)
  streams = runtimes.stream(opened, args.slots, rule)
  return streams, opened.card.preprocessing['short_side'], origin


def export_rule(args, opened):
  """The rule of an export that the arguments of the command name.

  Args:
    args: of the command.
    opened: a `runtimes.Runtime`.

  Returns:
    `(rule, origin)`, as `rule_file.choose`.

  Raises:
    InputError: as `rule_file.choose`.
  """
  rule, origin = opened.rule, f'the rule in {card.FILE}'
  if args.rule == rule_file.DEFAULT:
    rule = rules.default(opened.labels, rule.background)
    origin = 'the usual rule, which is not tuned'
  elif args.rule:
    rule, origin = rule_file.choose(args.model, opened, args.rule)
  rule = rule_file.with_background(rule, args.background, opened.labels)
  return rule._replace(bgr=rule.bgr or args.bgr), origin
