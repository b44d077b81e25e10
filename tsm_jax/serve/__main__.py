"""A page on which a model follows a camera or a video, live.

python -m tsm_jax.serve CHECKPOINT
python -m tsm_jax.serve CHECKPOINT --static OUT
"""

import os
import secrets
import socket
import sys
import urllib.parse

from tsm_jax import cli, compilation_cache, errors
from tsm_jax.stream import flags

TOKEN = 'TSM_JAX_TOKEN'  # the variable of the environment with a token


@cli.command()
def main(argv=None):
  parser = _parser()
  args = parser.parse_args(argv)
  if args.static:
    _refuse_server(parser, args)
    from tsm_jax.serve import static

    compilation_cache.switch_on()
    return static.run(args, _note)
  if args.web_runtime:
    raise errors.InputError('--web_runtime needs --static.')
  try:
    from tsm_jax.serve import app, gate, memory, metrics, model, server, slots
  except ImportError as error:
    if (error.name or '').startswith('tsm_jax'):
      raise
    raise ImportError(
      f'The live page needs {error.name}: pip install -e ".[serve]" -c '
      'constraints.txt'
    ) from error
  with server.listen(args.host, args.port) as listener:
    compilation_cache.switch_on()
    served = model.load(args, _note)
    token = _token(listener, args)
    counted = metrics.Metrics(args.slots)
    viewers = slots.Slots(
      served.session, served.interval, counted, memory.give_back
    )
    names = args.host, socket.gethostname()
    allowed = gate.Gate(names, args.allow_host, token)
    application = app.create(viewers, allowed, counted, served.hello)
    created = server.create(application, args.slots)
    print(f'{_address(args, listener, token)}  (Ctrl-C ends)', flush=True)
    with memory.watched():
      server.run(created, viewers, listener)


def _refuse_server(parser, args):
  """Raises InputError for flags of a server that there is not."""
  for flag in ('host', 'port', 'slots', 'allow_host'):
    if getattr(args, flag) != parser.get_default(flag):
      raise errors.InputError(
        f'--{flag} is of a server, and --static writes a page that needs none; '
        'leave one of them out.'
      )


def _token(listener, args):
  """What viewers have to know, '' where only this machine is let in."""
  from tsm_jax.serve import server

  given = os.environ.get(TOKEN, '')
  if given or (server.is_local(listener) and not args.allow_host):
    return given
  return secrets.token_urlsafe(24)


def _address(args, listener, token):
  """Where the page is; what follows # stays in the browser."""
  host, port, *_ = listener.getsockname()
  if host in ('0.0.0.0', '::'):
    host = socket.gethostname()
  elif args.host == 'localhost':
    host = args.host
  host = f'[{host}]' if ':' in host else host
  quoted = urllib.parse.quote(token, safe='')  # + would be read as a space
  return f'http://{host}:{port}/' + (f'#token={quoted}' if token else '')


def _parser():
  parser = cli.Parser(
    'serve',
    description='Serves a page on which a model that was trained with '
    'direction=past follows a camera or a chosen video: the label, its scores '
    'over time, and events.',
  )
  parser.add_argument(
    'model',
    metavar='CHECKPOINT_OR_EXPORT',
    help='a workdir, or one step in it, or a folder of python -m '
    'tsm_jax.export --what=step',
  )
  _add_server(parser.add_argument)
  flags.add_rule(parser)
  pace = parser.add_mutually_exclusive_group()
  for flag, text in (
    ('every', 'seconds between two frames; by default as in training'),
    ('fps', 'the same as frames per second'),
  ):
    pace.add_argument(f'--{flag}', type=flags.positive, help=text)
  _add_static(parser.add_argument)
  return parser


def _add_server(add):
  add(
    '--host',
    default='127.0.0.1',
    help='an address of this machine (default %(default)s: nobody else can '
    'connect); with another one, viewers need a token, which is printed',
  )
  add(
    '--port',
    type=cli.at_least(0),
    default=8008,
    help='default %(default)s; 0: any that is free',
  )
  add(
    '--slots',
    type=cli.at_least(1),
    default=4,
    help='viewers at a time (default %(default)s)',
  )
  add(
    '--allow_host',
    action='append',
    default=[],
    metavar='NAME',
    help='a name by which browsers reach the server, such as that of a proxy',
  )


def _add_static(add):
  add(
    '--static',
    metavar='OUT',
    help='writes a folder for any web space instead, whose page runs the model '
    "in the visitor's browser",
  )
  add(
    '--web_runtime',
    default='',
    metavar='FOLDER',
    help='where LiteRT for browsers lies, as npm pack writes it; by default it '
    "is downloaded once, into the user's cache",
  )


def _note(line):
  print(errors.printable(line), file=sys.stderr)


if __name__ == '__main__':
  sys.exit(main())
