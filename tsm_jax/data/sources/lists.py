"""CSV and JSON lists of videos, with their labels and splits."""

import csv
import io
import json
import pathlib
import re

from tsm_jax import errors
from tsm_jax.data.sources import (
  columns,
  label_sets,
  listings,
  segments,
  spelling,
)
from tsm_jax.data.sources.recordings import checks
from tsm_jax.data.sources.splitting import groups

SUFFIXES = ('.csv', '.json')
SPLITS = columns.SPLITS
_MISSING = ('nan', 'null', 'n/a', '#n/a', '<na>')  # as other programs write it


def read(source, field='data.source', notes=None, split=''):
  """The rows of a CSV or JSON list, as items.

  Args:
    source: path of the list.
    field: what the user calls it.
    notes: a list; sentences on what was ignored are added to it.
    split: of all rows; without it, each may have its own.

  Returns:
    A list of `listings.Item`, in the order of the rows; a label or split that
    is not given is ''.

  Raises:
    InputError: if the file is not such a list, a column seems to be misnamed,
      or a row has too many fields, no path, a split of another name, a label
      that is not one plain line of text, or a part that is none.
  """
  rows = list(enumerate(_rows(source, field), 1))
  found = columns.check(rows, source, ('split',) if split else ())
  items = [_item(number, row, source) for number, row in rows]
  if split:
    items = [item._replace(split=split) for item in items]
  found += checks.rows(items, source)
  found += _strange({item.label for item in items}, source)
  if notes is not None:
    notes += found
  return items


def _item(number, row, source):
  def fail(what):
    raise errors.InputError(f'Row {number} of {str(source)!r} has {what}.')

  path = row.get('path')
  if isinstance(path, int) and not isinstance(path, bool):
    path = str(path)
  if not path:
    listed = ', '.join(str(key) for key in row)
    fail(
      'no path; the columns are path, label and optionally split, found: '
      f'{listed}'
    )
  if not isinstance(path, str):
    fail(f'the path {path!r}; it must be text')
  if '\0' in path:
    fail(f'the path {path!r}, which holds a NUL character')
  if '\n' in path or '\r' in path:
    fail(f'the path {path!r}, which holds a line break; is a quote not closed?')
  split = row.get('split') or ''
  split = split.strip() if isinstance(split, str) else split
  if split and str(split).lower() not in SPLITS:
    fail(f'the split {split!r}; choose from {", ".join(SPLITS)}')
  segment = segments.read(row, fail)
  labels = _several(row.get('label'), fail)
  return listings.Item(
    path=source.parent / path,
    video_id=f'{path}@{segment}' if segment else path,
    label=label_sets.joined(labels) or label(row.get('label'), fail),
    split=SPLITS.get(split.lower(), ''),
    segment=segment,
    group=groups.read(row, fail),
    labels=labels,
  )


def _several(value, fail):
  """The labels of an array in JSON, sorted; () of anything else."""
  if not isinstance(value, list):
    return ()
  found = [label(one, fail) for one in value]
  if not found or not all(found) or '|' in ''.join(found):
    fail(
      f"the labels {value!r}; several labels are texts without '|', and a clip "
      'has one at least'
    )
  return tuple(sorted(set(found)))


def label(value, fail):
  """A label as text; '' if there is none.

  Args:
    value: as a list has it.
    fail: raises InputError; it is called with what is wrong.
  """
  if value is None:
    return ''
  if isinstance(value, bool) or not isinstance(value, (int, str)):
    fail(f'the label {value!r}; a label is text or a whole number')
  text = spelling.composed(str(value).strip())
  if text and (problem := listings.problem(text)):
    fail(
      f'the label {text!r}, which {problem}; a label is one plain line of text'
    )
  return text


def _strange(labels, source):
  """Sentences on labels that may be mistakes."""
  for label in sorted(labels):
    if label.lower() in _MISSING:
      yield f'{source.name} has the label {label!r}: is it a missing value?'
  for names in spelling.alike(labels):
    yield f'{source.name} has labels that hardly differ: {names}'


def _rows(source, field):
  """The rows of a list as dicts."""
  if source.suffix.lower() not in SUFFIXES:
    raise errors.InputError(
      f'{field} is the file {str(source)!r}; a list must end in '
      f'{" or ".join(SUFFIXES)}.'
    )
  text = spelling.read_text(source, f'The list {str(source)!r}')
  if source.suffix.lower() == '.csv':
    return _csv(text, source)
  try:
    rows = json.loads(text, object_pairs_hook=_object)
  except (ValueError, RecursionError) as error:
    raise errors.InputError(
      f'The list {str(source)!r} cannot be read: {error}.'
    ) from error
  if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
    raise errors.InputError(
      f'{str(source)!r} must hold an array of objects with path and label.'
    )
  return [dict(zip(columns.named(row, source), row.values())) for row in rows]


def _object(pairs):
  row = dict(pairs)
  if len(row) < len(pairs):
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise ValueError(f'an object has {twice!r} more than once')
  return row


def _csv(text, source):
  """The rows of a CSV list; blanks may follow a quote that ends a field."""
  try:
    return _parse(text, source)
  except csv.Error:
    pass
  try:
    return _parse(re.sub(r'(?<=")[ \t]+(?=,|\n|$)', '', text), source)
  except csv.Error as error:
    raise errors.InputError(str(error)) from error


def _parse(text, source):
  lines = text.split('\n')
  reader = csv.reader(
    io.StringIO(text, newline=''), skipinitialspace=True, strict=True
  )
  header, rows, end = None, [], 0
  try:
    for fields in reader:
      more, end = lines[end + 1 : reader.line_num], reader.line_num
      if not fields:
        continue
      if header is None:
        header = columns.named(fields, source)
        _check_header(header, source)
        continue
      rows.append(_row(header, fields, len(rows) + 1, source))
      _check_lines(more, rows[-1], header, len(rows), source)
  except csv.Error as error:
    raise csv.Error(
      f'Row {len(rows) + 1} of {str(source)!r} (line {reader.line_num}) has '
      f'quotes that do not match: {error}; a quote within quotes is written '
      'twice.'
    ) from error
  return rows


def _check_lines(lines, row, header, number, source):
  """Raises InputError if one of the further lines of a row looks like a row."""
  ending = pathlib.PurePath(row.get('path', '')).suffix.lower()
  place = header.index('path') if 'path' in header else len(header)
  for line in lines:
    fields = [field.strip() for field in line.split(',')]
    if len(fields) < len(header) or len(fields) <= place or not fields[place]:
      continue
    path = fields[place]
    if pathlib.PurePath(path).suffix.lower() == ending != '' or (
      (source.parent / path).exists()
    ):
      raise errors.InputError(
        f'Row {number} of {str(source)!r} goes on for {len(lines) + 1} lines, '
        f'of which one looks like a row: {line!r}; is a quote not closed?'
      )


def _check_header(header, source):
  (only,) = header if len(header) == 1 else ('',)
  for character in ';\t|':
    if character in only:
      raise errors.InputError(
        f'{str(source)!r} has its columns parted by {character!r}; a list has '
        'commas.'
      )


def _row(header, fields, number, source):
  """A row as a dict; a field without a name may only be empty."""
  surplus = [
    *(field for name, field in zip(header, fields) if not name.strip()),
    *fields[len(header) :],
  ]
  if any(field.strip() for field in surplus):
    names = [name for name in header if name.strip()]
    raise errors.InputError(
      f'Row {number} of {str(source)!r} has {len(fields)} fields, where the '
      f'columns are {", ".join(names)}: {fields!r}; put a field that holds a '
      'comma in double quotes.'
    )
  return {n: f for n, f in zip(header, fields) if n.strip()}
