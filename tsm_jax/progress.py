"""How far a work is: a bar on a terminal, and now and then a line in a file."""

import sys

from tqdm import auto as tqdm

_EVERY = 10.0  # seconds between lines in a file


class _Lines:
  """A file that gets a line where a terminal would draw its last one anew."""

  def __init__(self, file):
    self._file = file

  def write(self, text):
    for line in text.replace('\r', '\n').split('\n'):
      if line.strip():
        self._file.write(f'{line.rstrip()}\n')

  def flush(self):
    self._file.flush()


def bar(*args, delay=30.0, mininterval=0.5, **kwargs):
  """A `tqdm.tqdm` on standard error.

  Args:
    *args: of that.
    delay: seconds without a line where it is written to a file; what is done
      before leaves none.
    mininterval: seconds until a terminal shows it anew.
    **kwargs: of that.
  """
  if sys.stderr.isatty() or _draws_widgets():
    return tqdm.tqdm(*args, mininterval=mininterval, **kwargs)
  kwargs.update(file=_Lines(sys.stderr), dynamic_ncols=False, miniters=1)
  return tqdm.tqdm(*args, delay=delay, mininterval=_EVERY, **kwargs)


def steps(total, initial, active):
  """A `bar` of the steps of a training, from its first line on.

  Args:
    total: of the whole run.
    initial: of them, that were done before.
    active: whether it is shown.
  """
  return bar(
    total=total,
    initial=initial,
    unit='step',
    dynamic_ncols=True,
    delay=0,
    disable=not active,
  )


def _draws_widgets():
  """Whether this is a notebook, whose bars are no text."""
  return any(kind.__module__ == 'tqdm.notebook' for kind in tqdm.tqdm.__mro__)
