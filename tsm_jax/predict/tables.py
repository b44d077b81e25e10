"""What `predict` found, as a table on the screen or in a CSV file."""

import csv
import os

from tsm_jax import cli, errors


def show(results):
  """Prints one row per label, the most probable first."""
  rows = [
    ('' if rank else result['video'], label, f'{probability:.2%}')
    for result in results
    for rank, (label, probability) in enumerate(
      found.values() for found in result['predictions']
    )
  ]
  cli.show_rows(('video', 'label', 'probability'), rows)


def check(args):
  """Raises InputError if `--csv` is no new table of labels."""
  if not args.csv:
    return
  if args.stream:
    raise errors.InputError(
      '--csv is a table of the labels of videos; --stream writes what happens '
      'in them by --events FILE.csv.'
    )
  if not args.csv.lower().endswith('.csv'):
    raise errors.InputError(f'--csv is {args.csv!r}; it must end in .csv.')
  if os.path.realpath(args.csv) in map(os.path.realpath, args.videos):
    raise errors.InputError(
      f'--csv would write {args.csv!r}, which is the list to be read; choose '
      'another name.'
    )


class Rows:
  """A CSV file with a row for every video, written through at once.

  What is done when the command is interrupted is there. Columns: video, top1,
  p1, top2, p2, ..., error.
  """

  def __init__(self, path, top):
    """Begins the file, so that a place that cannot be written is told early.

    Args:
      path: of the file, or '' for none.
      top: how many labels a row has.
    """
    self._top, self._file = top, None
    if path:
      from tsm_jax.program import predictions  # slow, and rarely needed

      # The names of files may be no text; their bytes are kept.
      self._file = open(  # noqa: SIM115 (closed by close)
        path, 'w', newline='', encoding='utf-8', errors='surrogateescape'
      )
      self._write(['video', *predictions.header(top), 'error'])

  def add(self, video, found, reason):
    """Writes a row.

    Args:
      video: its name.
      found: a list of `(label, probability)`, empty if there is a reason.
      reason: why it cannot be answered, or ''.
    """
    if self._file:
      from tsm_jax.program import predictions

      cells = predictions.cells(found) or [''] * (2 * self._top)
      self._write([video, *cells, reason])

  def _write(self, row):
    csv.writer(self._file, lineterminator='\n').writerow(row)
    self._file.flush()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    if self._file:
      self._file.close()
