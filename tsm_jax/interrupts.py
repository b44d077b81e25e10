"""Ctrl-C while a command starts: the end at once, without a traceback.

Libraries that are half imported turn the interruption into other errors or
crash, and some of JAX's own callbacks swallow it.
"""

import contextlib
import os
import signal
import sys
import threading

STATUS = 130  # of a shell for what Ctrl-C has ended
# Functions that Python calls in between, and whose exceptions it only prints.
_SWALLOWING = frozenset({'__del__', '_xla_gc_callback'})
_AGAIN = 0.02  # seconds

under_way = False  # whether `cli.command` would catch a KeyboardInterrupt


def is_ours(argv):
  """Whether a command line of Python runs a command of this package.

  >>> is_ours(['python', '-m', 'tsm_jax.main', '--config=folder'])
  True
  >>> is_ours(['python', '-m', 'pytest', 'tsm_jax.main'])
  False
  """
  _, _, rest = ' '.join(argv).partition(' -m ')
  return rest.split(' ')[0].split('.')[0] == 'tsm_jax'


def install():
  """Handles Ctrl-C from here on; to be called by programs, not by libraries."""
  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _handle)


def _handle(number, frame):
  """Ends a program that starts or imports, else raises KeyboardInterrupt."""
  importing, inner = False, frame
  while inner:
    importing |= inner.f_code.co_filename.startswith('<frozen importlib')
    if inner.f_code.co_name in _SWALLOWING:
      threading.Timer(_AGAIN, os.kill, (os.getpid(), number)).start()
      return
    inner = inner.f_back
  if under_way and not importing:
    signal.default_int_handler(number, frame)
  with contextlib.suppress(Exception):  # such as a closed pipe
    print('Interrupted.', file=sys.stderr, flush=True)
    sys.stdout.flush()
  os._exit(STATUS)
