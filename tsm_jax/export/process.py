"""Another Python at work, for as long as this process lives."""

import pathlib
import subprocess

_WATCHED = pathlib.Path(__file__).parent / 'converters' / 'watched.py'


def run(python, arguments, log=None, **options):
  """Runs a Python on its own: nothing of ours is on its path.

  It ends with this process, however that ends.

  Args:
    python: its path.
    arguments: a script, or -m and a module, and what they are given.
    log: called with each line that it prints.
    **options: of `subprocess.Popen`.

  Returns:
    `(status, last)`: its status and the last line that it printed.

  Raises:
    OSError: if there is no such program.
  """
  last = ''
  process = subprocess.Popen(
    [python, '-I', str(_WATCHED), *map(str, arguments)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    errors='replace',
    **options,
  )
  with process:
    try:
      for line in process.stdout:
        last = line.strip() or last
        if log:
          log(line.rstrip())
      status = process.wait()
    finally:
      process.kill()
  return status, last
