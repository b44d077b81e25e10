"""The VGG Image Annotator (VIA 3): its projects (JSON) and its exported CSV."""

import csv
import io
import json
import re

from tsm_jax.data.sources.recordings import annotations

_TITLE = 'VGG Image Annotator'
_TEMPORAL = 'FILE1_Z2_XY0'  # the attributes of parts, not of boxes or files
_USUAL = re.compile('label|class|categor|action|event|activit|temporal', re.I)


def is_csv(text):
  """Whether a text is what VIA exports as CSV."""
  start = text[:20_000]
  return start.startswith('#') and (_TITLE in start or 'CSV_HEADER' in start)


def is_project(content):
  """Whether the content of a JSON file is a project of VIA 3."""
  return isinstance(content, dict) and {'file', 'view', 'metadata'} <= (
    content.keys()
  )


def read_csv(text, notes):
  """The annotations of an exported CSV.

  Args:
    text: its content.
    notes: a list; sentences on what is passed over are added to it.

  Returns:
    A list of `annotations.Annotation`.

  Raises:
    Problem: if it is no such export.
  """
  about = dict(re.findall(r'^# *(\w+) *= *(.*?)[,\s]*$', text, re.M))
  header = [name.strip() for name in about.get('CSV_HEADER', '').split(',')]
  lines = [x for x in text.split('\n') if x.strip() and not x.startswith('#')]
  rows = []
  for fields in csv.reader(io.StringIO('\n'.join(lines))):
    row = dict(zip(header, (field.strip() for field in fields)))
    if not {'file_list', 'metadata'} <= row.keys():
      raise annotations.Problem(
        'is an export of VIA without the columns file_list and metadata'
      )
    times = _json(row.get('temporal_coordinates', '[]'))
    if 'temporal_segment_start' in row:  # of earlier versions
      names = ('temporal_segment_start', 'temporal_segment_end')
      times = [_json(row[name] or 'null') for name in names]
    files = _json(row['file_list'])
    file = files[0] if isinstance(files, list) and files else files
    spatial = _json(row.get('spatial_coordinates') or '[]')
    rows.append((file, times, spatial, _json(row['metadata'])))
  attributes = _json(about.get('ATTRIBUTE') or about.get('ATTRIBUTES') or '{}')
  return _parts(rows, attributes, notes)


def _json(text):
  try:
    return json.loads(text)
  except (ValueError, RecursionError):
    raise annotations.Problem(f'has {text!r}, which is no JSON') from None


def read_project(content, notes):
  """As `read_csv`, of the content of a project's JSON file."""
  try:
    rows = []
    for metadata in content['metadata'].values():
      files = content['view'][str(metadata['vid'])]['fid_list']
      file = content['file'][str(files[0])]
      name = file.get('fname') or file['src']
      rows.append((name, metadata['z'], metadata['xy'], metadata['av']))
    attributes = content.get('attribute') or {}
  except (AttributeError, IndexError, KeyError, TypeError) as error:
    raise annotations.Problem(
      f'is a project of VIA that lacks {error}'
    ) from error
  return _parts(rows, attributes, notes)


def _parts(rows, attributes, notes):
  """The annotations among `(file, times, places in the picture, values)`."""
  found, still = [], 0
  for file, times, spatial, values in rows:
    numbers = isinstance(times, list) and all(
      # JSON may have NaN, and integers too large for seconds.
      isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) < 1e9
      for x in times
    )
    if not (numbers and isinstance(values, dict) and isinstance(file, str)):
      raise annotations.Problem(
        f'has the annotation {[file, times, values]!r}, which is none'
      )
    if len(times) == 2 and not spatial:
      found.append((file, times, values))
    else:
      still += 1
  if still:
    notes.append(
      f'{still} annotations of single frames or boxes are passed over'
    )
  number = _attribute([values for _, _, values in found], attributes, notes)
  options = _options(attributes.get(number)) if number else {}
  return [
    annotations.Annotation(
      file, *times, str(options.get(value, value)) if value else ''
    )
    for file, times, values in found
    for value in [values.get(number, '')]
  ]


def _attribute(values, attributes, notes):
  """The number of the attribute that is the label."""
  used = list(dict.fromkeys(number for some in values for number in some))
  temporal = [
    number
    for number in used
    if _field(attributes.get(number), 'anchor_id', _TEMPORAL) == _TEMPORAL
  ]
  if not temporal:
    return ''
  names = {number: _name(attributes.get(number), number) for number in temporal}
  usual = [number for number in temporal if _USUAL.search(names[number])]
  chosen = (usual or temporal)[0]
  others = [repr(names[number]) for number in temporal if number != chosen]
  if others:
    notes.append(
      f'the labels are the values of {names[chosen]!r}, not of '
      f'{", ".join(others)}'
    )
  return chosen


def _field(attribute, name, default):
  return (
    attribute.get(name, default) if isinstance(attribute, dict) else default
  )


def _name(attribute, number):
  name = attribute if isinstance(attribute, str) else number
  return str(_field(attribute, 'aname', name))


def _options(attribute):
  options = _field(attribute, 'options', {})
  return options if isinstance(options, dict) else {}
