"""What happened when a dataset was built, in its file `build_report.json`.

The report is written last: a folder that holds one is a whole dataset.
"""

import json
import pathlib

from tsm_jax import errors
from tsm_jax.data import defaults

NAME = 'build_report.json'
MAX_LINES = 20  # of each kind that are shown; the report has all
_KINDS = {
  'name': str,
  'modality': str,
  'options': dict,
  'labels': list,
  'num_frames': dict,
  **dict.fromkeys(('notes', 'excluded', 'damaged'), list),
}


def exists(path):
  """Whether the folder `path` holds a dataset that is built."""
  return (pathlib.Path(path).expanduser() / NAME).exists()


def read(path):
  """The report of the dataset in the folder `path`, a dict.

  Raises:
    InputError: if it is not one that a build has written.
  """
  file = pathlib.Path(path).expanduser() / NAME
  report = read_json(file)
  for name, kind in _KINDS.items():
    if not isinstance(report.get(name), kind):
      raise damaged(file, f'has no {name!r} that is a {kind.__name__}')
  if not all(isinstance(label, str) for label in report['labels']):
    raise damaged(file, 'has a label that is not text')
  for counts in report['num_frames'].values():
    whole = isinstance(counts, list) and all(type(n) is int for n in counts)
    if not whole:
      raise damaged(file, 'has numbers of frames that are not integers')
  options = {**defaults.USUAL.as_dict(), **report['options']}
  return {'cut': [], **report, 'options': options}


def read_json(path):
  """The object in a JSON file of a dataset; InputError if there is none."""
  text = read_text(path)
  try:
    content = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise damaged(path, f'is not JSON ({error})') from error
  if not isinstance(content, dict):
    raise damaged(path, f'holds a {type(content).__name__}, not an object')
  return content


def read_text(path):
  """The text of a file of a dataset; InputError if it cannot be read."""
  try:
    return path.read_text(encoding='utf-8')
  except (OSError, ValueError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise damaged(path, f'cannot be read ({reason})') from error


def damaged(path, problem):
  """The InputError of a file of a dataset that is not as it was built."""
  return errors.InputError(
    f'{str(path)!r} {problem}; the dataset is damaged: restore that file, or '
    f'remove the folder {str(path.parent)!r} and build it again.'
  )


def write(path, report):
  """Writes the report of the dataset in the folder `path`, whole or not."""
  unfinished = path / f'{NAME}.unfinished'
  unfinished.write_text(json.dumps(report, indent=1))
  unfinished.replace(path / NAME)


def num_clips(report):
  """The number of clips of all splits."""
  return sum(map(len, report['num_frames'].values()))


def check_excluded(num_used, excluded, max_excluded):
  """Raises InputError if too many videos are excluded, or all of them.

  Args:
    num_used: the number of the others.
    excluded: `(video_id, reason)` of each.
    max_excluded: the share of all that may be.
  """
  total = num_used + len(excluded)
  if num_used and len(excluded) / total <= max_excluded:
    return
  listed = '\n'.join(f'  {name}: {why}' for name, why in excluded)
  raise errors.InputError(
    f'{len(excluded)} of {total} videos cannot be used, a share of '
    f'{len(excluded) / total:.3f}, and data.max_excluded is '
    f'{max_excluded}:\n{listed}'
  )


def describe(report):
  """Yields the report as lines of text."""
  counts = ', '.join(f'{len(n)} {s}' for s, n in report['num_frames'].items())
  yield f'Dataset {report["name"]}: {counts}; {len(report["labels"])} classes.'
  notes = (
    [f'not used: {name}: {why}' for name, why in report['excluded']],
    [f'used, but damaged: {name}: {why}' for name, why in report['damaged']],
    [f'cut: {name}: {why}' for name, why in report.get('cut', ())],
    [f'note: {note}' for note in report['notes']],
  )
  for lines in notes:
    for line in lines[:MAX_LINES]:
      yield f'  {line}'
    if len(lines) > MAX_LINES:
      yield f'  ... and {len(lines) - MAX_LINES} more, listed in {NAME}'
