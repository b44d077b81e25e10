"""The model that is served, as a session for all viewers."""

from typing import NamedTuple

from tsm_jax import checkpoints
from tsm_jax.stream import flags, session
from tsm_jax.stream.events import rule_file


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
  trained = checkpoints.restore_model(args.checkpoint, log)
  rule, origin = rule_file.choose(
    args.checkpoint, trained, args.rule, args.background
  )
  if args.bgr:
    rule = rule._replace(bgr=True)
  streams = session.Session(trained, slots=args.slots, rule=rule)
  interval = flags.interval(args, streams.interval)
  log(f'A frame is shown every {interval:.3g} s; events by {origin}.')
  streams.compile()
  hello = {
    'labels': streams.labels,
    'interval': interval,
    'short_side': trained.preprocessing.short_side,
    'about': f'A model of {len(streams.labels)} classes, which is shown a '
    f'frame every {interval:.3g} s.',
  }
  return Served(streams, interval, hello)
