"""The columns of a list of clips: which there are, and which are mistakes."""

import difflib

from tsm_jax import errors

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
NAMES = ('path', 'label', 'split')
# Other names of the same, in lower case.
_ALIKE = {
  'path': ('file', 'filename', 'file_name', 'filepath', 'video', 'video_path'),
  'label': ('class', 'class_name', 'category', 'action', 'target'),
  'split': ('set', 'subset', 'partition', 'usage', 'fold', 'phase'),
}
_PARTS = {
  f'{before}{name}{after}'
  for name in ('start', 'end', 'begin', 'stop', 'segment')
  for before, after in (
    *(('', ''), ('', 's'), ('', '_time'), ('', '_frame'), ('', '_sec')),
    *(('', '_seconds'), ('', '_s'), ('t_', ''), ('time_', ''), ('frame_', '')),
    *(('clip_', ''), ('video_', ''), ('', 'time'), ('', 'frame')),
  )
}


def check(rows, source):
  """Raises InputError for columns that would be ignored, but should not be.

  Args:
    rows: `(number, row)` pairs; of a row, a dict, the keys are columns, as
      the user writes them, or one of `NAMES`.
    source: path of the list.

  Returns:
    A list of sentences on the columns that are ignored.
  """
  first = {}  # of a column, the first row that has a value in it
  for number, row in rows:
    for name, value in row.items():
      if name not in first and value not in (None, '', []):
        first[name] = number
  others = [name for name in first if name not in NAMES]
  for name in others:
    where = f'Row {first[name]} of {str(source)!r} has the column {name!r}'
    if name.strip().lower() in _PARTS:
      raise errors.InputError(
        f'{where}, but clips are read as a whole; cut them, for example by '
        'ffmpeg -ss START -to END -i FILE, and remove the column.'
      )
    values = [row[name] for _, row in rows if row.get(name)]
    meant = _meant(name, values, first)
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


def _meant(name, values, found):
  """Which of the columns that are missing an unknown one may be, or ''."""
  missing = [known for known in NAMES if known not in found]
  plain = name.strip().lower()
  for known in missing:
    if plain in _ALIKE[known]:
      return known
  near = difflib.get_close_matches(plain, missing, n=1, cutoff=0.7)
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
    A list of the same length, in which what is not one of `NAMES` is kept.

  Raises:
    InputError: if a column comes twice.
  """
  plain = [str(name).strip().lower() for name in names]
  found = [p if p in NAMES else str(n) for p, n in zip(plain, names)]
  for name in NAMES:
    if found.count(name) > 1:
      raise errors.InputError(
        f'{str(source)!r} has the column {name!r} more than once.'
      )
  return found
