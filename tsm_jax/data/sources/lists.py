"""CSV and JSON lists of videos, with their labels and splits."""

import csv
import io
import json

from tsm_jax import errors
from tsm_jax.data.sources import listings

SUFFIXES = ('.csv', '.json')

# What people call their splits, and what they are called here.
SPLITS = {
  'train': 'train',
  'training': 'train',
  'val': 'val',
  'valid': 'val',
  'validation': 'val',
  'test': 'test',
}


def read(source, field='data.source'):
  """The rows of a CSV or JSON list, as items.

  Args:
    source: path of the list.
    field: what the user calls it.

  Returns:
    A list of `listings.Item`, in the order of the rows; a label or split that
    is not given is ''.

  Raises:
    InputError: if the file is not such a list, or a row has no path, a split
      of another name or a label that is not one plain line of text.
  """
  items = []
  for number, row in enumerate(_rows(source, field), 1):
    if '\0' in str(row.get('path')):
      raise errors.InputError(
        f'Row {number} of {str(source)!r} has the path {row["path"]!r}, which '
        'holds a NUL character.'
      )
    if not row.get('path'):
      columns = ', '.join(str(key) for key in row)
      raise errors.InputError(
        f'Row {number} of {str(source)!r} has no path; the columns are path, '
        f'label and optionally split, found: {columns}.'
      )
    split = str(row.get('split') or '').strip()
    if split and split.lower() not in SPLITS:
      raise errors.InputError(
        f'Row {number} of {str(source)!r} has the split {split!r}; choose '
        f'from {", ".join(SPLITS)}.'
      )
    label = row.get('label')
    label = '' if label is None else str(label).strip()
    if label and (problem := listings.problem(label)):
      raise errors.InputError(
        f'Row {number} of {str(source)!r} has the label {label!r}, which '
        f'{problem}; a label is one plain line of text.'
      )
    items.append(
      listings.Item(
        path=source.parent / str(row['path']),
        video_id=str(row['path']),
        label=label,
        split=SPLITS.get(split.lower(), ''),
      )
    )
  return items


def _rows(source, field):
  """The rows of a list as dicts."""
  if source.suffix.lower() not in SUFFIXES:
    raise errors.InputError(
      f'{field} is the file {str(source)!r}; a list must end in '
      f'{" or ".join(SUFFIXES)}.'
    )
  try:
    text = source.read_text(encoding='utf-8-sig')
    if source.suffix.lower() == '.csv':
      lines = io.StringIO(text, newline='')
      return list(csv.DictReader(lines, skipinitialspace=True))
    rows = json.loads(text)
  except (OSError, ValueError, csv.Error) as error:
    raise errors.InputError(
      f'The list {str(source)!r} cannot be read: {error}.'
    ) from error
  if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
    raise errors.InputError(
      f'{str(source)!r} must hold an array of objects with path and label.'
    )
  return rows
