"""The columns of a list of clips: which there are, and which are mistakes."""

import difflib
import re

from tsm_jax import errors
from tsm_jax.data.sources import segments

# What people call their splits, and what they are called here.
SPLITS = {
  'train': 'train',
  'training': 'train',
  'val': 'val',
  'valid': 'val',
  'validation': 'val',
  'validate': 'val',
  'eval': 'val',
  'evaluation': 'val',
  'dev': 'val',
  'test': 'test',
  'testing': 'test',
}
_USUAL = ('train', 'training', 'val', 'valid', 'validation', 'test')
NAMES = ('path', 'label', 'split')
GROUP = 'group'  # what a clip belongs to, see `splitting.groups`
_KNOWN = (*NAMES, *segments.COLUMNS, GROUP)
# Words in other names of the same, in lower case.
_ALIKE = {
  'path': {'path', 'file', 'filename', 'filepath', 'video'},
  'label': {'label', 'class', 'classname', 'category', 'action', 'target'},
  'split': {
    *('split', 'set', 'subset', 'partition', 'usage', 'fold', 'phase', 'train'),
  },
}
_PART = re.compile(  # 'start', 'End (s)', 't_start', 'frameBegin'
  '(t|time|frame|clip|video|action|segment)*'
  '(start|begin|end|stop|segment|onset|offset)s?'
  '(t|time|frame|stamp|s|ms|sec|second|at|in|idx|index|no)*s?'
)
_PAIRS = ({'from', 'to'}, {'t0', 't1'}, {'first', 'last'})
_BEGINS = re.compile('start|begin|onset|from|t0|first')
_ENDS = re.compile('end|stop|offset|to|t1|last')
_LENGTHS = {'duration', 'length', 'dur', 'len', 'seconds', 'num_frames'}


def splits_among(names):
  """Which files or folders stand for splits, by their names.

  One with an unusual name (`eval`) does so only where none of the same split
  has a usual one: it may hold anything else.

  Args:
    names: a mapping from paths to what they are called.

  Returns:
    A dict from the paths that are splits to the splits.
  """
  found = {
    path: SPLITS[name.lower()]
    for path, name in names.items()
    if name.lower() in SPLITS
  }
  usual = {path for path in found if names[path].lower() in _USUAL}
  taken = {found[path] for path in usual}
  return {p: s for p, s in found.items() if p in usual or s not in taken}


def _plain(name):
  return name.strip().lower()


def check(rows, source, given=()):
  """Raises InputError for columns that would be ignored, but should not be.

  Args:
    rows: `(number, row)` pairs; of a row, a dict, the keys are columns, as
      the user writes them, or one of `NAMES`, `segments.COLUMNS` or `GROUP`.
    source: path of the list.
    given: of `NAMES`, what no column is needed for.

  Returns:
    A list of sentences on the columns that are ignored.
  """
  first = {}  # of a column, the first row that has a value in it
  for number, row in rows:
    for name, value in row.items():
      if name not in first and value not in (None, '', []):
        first[name] = number
  others = [name for name in first if name not in _KNOWN]
  plain = set(map(_plain, others))
  for name in others:
    where = f'Row {first[name]} of {str(source)!r} has the column {name!r}'
    is_time = _PART.fullmatch(re.sub('[^a-z]', '', name.lower()))
    if is_time or any(_plain(name) in pair <= plain for pair in _PAIRS):
      raise errors.InputError(
        f'{where}, but none is called so; {_renamed(name)}, else remove it.'
      )
    if _plain(name) in _LENGTHS and _is_open(set(first)):
      raise errors.InputError(
        f'{where}, but where a part of a video ends is read from end (seconds) '
        'or end_frame; give that instead.'
      )
    values = [row[name] for _, row in rows if row.get(name)]
    meant = _meant(name, values, {*first, *given})
    if meant:
      raise errors.InputError(
        f'{where}, but none is called {meant!r}; rename it to {meant!r} if it '
        'is that, else remove it.'
      )
  return [
    f'the column {name!r} of {source.name} was ignored (row {first[name]}); '
    f'{", ".join(NAMES)} are read'
    for name in others
  ]


def _renamed(name):
  """What to call a column that seems to say when a part begins or ends."""
  plain = _plain(name)
  if _BEGINS.search(plain):
    spelling = 'start'
  elif _ENDS.search(plain):
    spelling = 'end'
  else:
    return (
      'rename it to start or end (seconds), or to start_frame or end_frame, if '
      'a part of the video begins or ends there'
    )
  does = 'begins' if spelling == 'start' else 'ends'
  if re.search('frame|idx|index', plain):
    return (
      f'rename it to {spelling}_frame if a part of the video {does} at that '
      'frame, counted from 0'
    )
  return (
    f'rename it to {spelling} if a part of the video {does} there, in seconds '
    f'(frames: {spelling}_frame)'
  )


def _is_open(found):
  """Whether parts have a start, but no end, among the columns of a list."""
  starts, ends = zip(segments.SECONDS, segments.FRAMES)
  return not found.isdisjoint(starts) and found.isdisjoint(ends)


def _meant(name, values, found):
  """Which of the columns that are missing an unknown one may be, or ''."""
  missing = [known for known in NAMES if known not in found]
  parted = re.sub('(?<=[a-z])(?=[A-Z])', ' ', name)  # as in videoPath
  words = re.findall('[a-z]+', parted.lower())
  for known in missing:
    if not _ALIKE[known].isdisjoint(words):
      return known
  near = difflib.get_close_matches(name.lower(), missing, n=1, cutoff=0.7)
  if near:
    return near[0]
  texts = [value.strip().lower() for value in values if isinstance(value, str)]
  if 'split' in missing and texts and set(texts) <= set(SPLITS):
    return 'split'
  return ''


def named(names, source):
  """The names of columns as they are read: without blanks and capitals.

  Args:
    names: as the list has them.
    source: path of the list.

  Returns:
    A list of the same length, in which what is not one of `NAMES` or
    `segments.COLUMNS` is kept.

  Raises:
    InputError: if a column comes twice.
  """
  plain = [str(name).strip().lower() for name in names]
  found = [p if p in _KNOWN else str(n) for p, n in zip(plain, names)]
  for name in _KNOWN:
    if found.count(name) > 1:
      raise errors.InputError(
        f'{str(source)!r} has the column {name!r} more than once.'
      )
  return found
