"""ELAN: its own files (.eaf, an XML) and what it exports as text with tabs."""

import pathlib
import re
from urllib import parse
from xml.etree import ElementTree

from tsm_jax.data.clips import videos
from tsm_jax.data.sources import spelling
from tsm_jax.data.sources.recordings import annotations

# What ends the names of columns of times, in every language.
_FORMS = ('hh:mm:ss.ms', 'ss.msec', 'msec')
_CLOCK = re.compile(r'(\d+):([0-5]?\d):([0-5]?\d(?:[.,]\d+)?)')
_DECIMAL = re.compile(r'\d+[.,]\d+')


class _Builder(ElementTree.TreeBuilder):
  """Refuses what can name other files, or grow."""

  def doctype(self, name, pubid, system):
    raise annotations.Problem(
      'has a DOCTYPE, which files of ELAN do not have; it is not read'
    )


def read_xml(path, notes):
  """The annotations of an .eaf file.

  Args:
    path: a `pathlib.Path`.
    notes: a list; sentences on what is passed over are added to it.

  Returns:
    A list of `annotations.Annotation`.

  Raises:
    Problem: if it is no such file.
  """
  try:
    parser = ElementTree.XMLParser(target=_Builder())
    root = ElementTree.fromstring(path.read_bytes(), parser)
  except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
    raise annotations.Problem(f'cannot be read: {error}') from error
  if root.tag != 'ANNOTATION_DOCUMENT':
    raise annotations.Problem(f'is an XML of {root.tag!r}, not of ELAN')
  header = root.find('HEADER')
  units = 'milliseconds' if header is None else header.get('TIME_UNITS')
  if units not in (None, 'milliseconds'):
    raise annotations.Problem(f'counts time in {units!r}, not in milliseconds')
  video, origin = _media(root, path)
  slots = {
    slot.get('TIME_SLOT_ID'): slot.get('TIME_VALUE')
    for slot in root.iter('TIME_SLOT')
  }
  found, tiers, untimed = [], set(), len(list(root.iter('REF_ANNOTATION')))
  for tier in root.iter('TIER'):
    for annotation in tier.iter('ALIGNABLE_ANNOTATION'):
      times = [slots.get(annotation.get(f'TIME_SLOT_REF{i}')) for i in (1, 2)]
      if None in times:
        untimed += 1
        continue
      start, end = (_whole(time) / 1000 + origin for time in times)
      label = annotation.findtext('ANNOTATION_VALUE') or ''
      found.append(annotations.Annotation(video, start, end, label))
      tiers.add(tier.get('TIER_ID') or '')
  _note(notes, path, tiers, untimed)
  return found


def _whole(text):
  try:
    return int(text)
  except ValueError:
    raise annotations.Problem(f'has the time {text!r}') from None


def _media(root, path):
  """`(name, seconds)`: of the video, and where in it the times begin."""
  for media in root.iter('MEDIA_DESCRIPTOR'):
    for name in ('RELATIVE_MEDIA_URL', 'MEDIA_URL'):
      url = parse.unquote(media.get(name) or '')
      file = url.removeprefix('file:///')
      if pathlib.PurePosixPath(file).suffix.lower() in videos.SUFFIXES:
        return file, _whole(media.get('TIME_ORIGIN') or '0') / 1000
  return path.stem, 0.0


def _note(notes, path, tiers, untimed):
  if len(tiers) > 1:
    listed = ', '.join(map(repr, sorted(tiers)))
    notes.append(
      f'the annotations of all tiers of {path.name} are labels: {listed}; to '
      'use one, export it alone'
    )
  if untimed:
    notes.append(
      f'{untimed} annotations of {path.name} without times of their own are '
      'passed over'
    )


def read_table(path, notes):
  """The annotations of a text with tabs that ELAN exported.

  With or without names of columns, in any language: times are told by their
  form, begin before end, and what is behind them is the label, or one of every
  tier. A column may name the .eaf file; else the video is called as the text.

  Args:
    path: a `pathlib.Path`.
    notes: as in `read_xml`.

  Returns:
    A list of `annotations.Annotation`.

  Raises:
    Problem: if it is no such text.
  """
  text = spelling.read_text(path, f'The file {str(path)!r}')
  lines = [line for line in text.split('\n') if line.strip()]
  about = [line for line in lines if line.lstrip('"').startswith('#')]
  rows = [line.split('\t') for line in lines if line not in about]
  video = next(filter(None, map(_video_in, about)), path.stem)
  if not rows:
    return []
  columns = _named(rows[0]) or _shown(rows)
  if columns is None:
    raise annotations.Problem(
      'is no list, which ends in .csv or .json, and has no columns of begin '
      'and end times, as a tab-delimited text that ELAN exports'
    )
  if _named(rows[0]):
    rows = rows[1:]
  begin, end, form, labels = columns
  found = []
  for row in rows:
    row = [field.strip() for field in row]
    row += [''] * (labels + 1 - len(row))
    times = [_seconds(row[i], form) for i in (begin, end)]
    if None in times:
      raise annotations.Problem(f'has the row {row!r}, whose times are none')
    fields = row[labels:]
    file = next((x for x in row if x.lower().endswith('.eaf')), '')
    name = pathlib.PureWindowsPath(file).stem if file else video
    for label in fields[:1] if len(fields) == 1 else filter(None, fields):
      if label != file and not label.lower().startswith('file:'):
        found.append(annotations.Annotation(name, *times, label))
  return found


def _video_in(line):
  """The name of the video that a line is about, or ''."""
  for name in re.findall(r'([^/\\":#]+\.\w+)(?=["\s]|$)', line):
    if pathlib.PurePath(name).suffix.lower() in videos.SUFFIXES:
      return name.strip()
  return ''


def _named(header):
  """`(begin, end, form, labels)` of columns with names, or None."""
  names = [name.strip() for name in header]
  timed = {}  # of a form, the columns in their order
  for number, name in enumerate(names):
    for form in _FORMS:
      if name.endswith(f' - {form}'):
        timed.setdefault(form, []).append(number)
  return _chosen(timed)


def _shown(rows):
  """As `_named`, by what is in the first rows."""
  timed = {}
  for number in range(min(map(len, rows[:20]))):
    values = [row[number].strip() for row in rows[:20]]
    for form in _FORMS:
      if all(_seconds(value, form) is not None for value in values):
        timed.setdefault(form, []).append(number)
        break
  return _chosen(timed)


def _chosen(timed):
  for form in _FORMS:
    if len(timed.get(form, ())) > 1:
      begin, end = timed[form][:2]
      return begin, end, form, max(map(max, timed.values())) + 1
  return None


def _seconds(text, form):
  """Seconds that a text in one of `_FORMS` means, or None."""
  if form == 'hh:mm:ss.ms' and (match := _CLOCK.fullmatch(text)):
    hours, minutes, seconds = (
      float(x.replace(',', '.')) for x in match.groups()
    )
    return 3600 * hours + 60 * minutes + seconds
  if form == 'ss.msec' and _DECIMAL.fullmatch(text):
    return float(text.replace(',', '.'))
  if form == 'msec' and re.fullmatch(r'\d+', text):
    return int(text) / 1000
  return None
