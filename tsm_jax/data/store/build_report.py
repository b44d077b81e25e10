"""What happened when a dataset was built, in its file `build_report.json`.

The report is written last: a folder that holds one is a whole dataset.
"""

import json
import pathlib

from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.store import integrity

NAME = 'build_report.json'
_FIELDS = {
  'name': str,
  'options': dict,
  'modality': str,
  'labels': list,
  'notes': list,
  'excluded': list,
  'damaged': list,
  'num_frames': dict,
}
MAX_LINES = 20  # of each kind that are shown; the report has all


def exists(path):
  """Whether the folder `path` holds a dataset that is built."""
  return (pathlib.Path(path).expanduser() / NAME).exists()


def read(path):
  """The report of the dataset in the folder `path`, a dict.

  Raises:
    InputError: if it is not what `write` has written.
  """
  path = pathlib.Path(path).expanduser() / NAME
  report = integrity.read_json(path)
  for name, kind in _FIELDS.items():
    if not isinstance(report.get(name), kind):
      raise integrity.damaged(path, f'holds no {name!r}')
  if not all(isinstance(label, str) for label in report['labels']):
    raise integrity.damaged(path, 'holds a class name that is no text')
  for counts in report['num_frames'].values():
    if not isinstance(counts, list) or any(type(n) is not int for n in counts):
      raise integrity.damaged(path, 'holds numbers of frames that are none')
  for name in ('excluded', 'damaged', 'cut'):
    pairs = report.get(name) or []  # older reports have no 'cut'
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
      raise integrity.damaged(path, f'holds {name!r} that are no pairs')
  options = {**defaults.USUAL.as_dict(), **report['options']}
  return {'cut': [], **report, 'options': options}


def check_lists(path, report):
  """Raises InputError if a report has `seconds` or `classes` of other clips.

  Args:
    path: of the folder of the dataset.
    report: from `read`.
  """
  path = pathlib.Path(path) / NAME
  counts, num_classes = report['num_frames'], len(report['labels'])
  for name, what, fits in (
    ('seconds', 'lengths', lambda x: type(x) in (int, float) and x >= 0),
    (
      'classes',
      'classes',
      lambda x: x is None or (type(x) is int and 0 <= x < num_classes),
    ),
  ):
    if name not in report:  # those of earlier versions
      continue
    found = report[name]
    if not isinstance(found, dict) or found.keys() != counts.keys():
      raise integrity.damaged(path, f'holds {name!r} of other splits')
    for split, values in found.items():
      if (
        not isinstance(values, list)
        or len(values) != len(counts[split])
        or not all(map(fits, values))
      ):
        raise integrity.damaged(path, f'holds {what} of clips that are none')


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


def refuse_passing(passing):
  """Raises InputError if clips could not be read for reasons that may pass."""
  if not passing:
    return
  most = MAX_LINES
  listed = ''.join(f'\n  {name}: {why}' for name, why in passing[:most])
  if len(passing) > most:
    listed += f'\n  ... and {len(passing) - most} more'
  what = (
    '1 video that was'
    if len(passing) == 1
    else (f'{len(passing)} videos that were')
  )
  raise errors.InputError(
    f'{what} there when the build began could not be read; the others are '
    f'done. Start again when it is possible, or without them:{listed}'
  )


def require(clips, splits, what):
  """Raises InputError if a split has no clip.

  Args:
    clips: a dict from split to its clips.
    splits: that must have some.
    what: they are of, the first words of the message.
  """
  for name in splits:
    if not clips.get(name):
      found = ', '.join(f'{s} ({len(c)})' for s, c in clips.items() if c)
      remedy = ''
      if name == 'val' and clips.get('test'):
        remedy = (
          '; evaluate on another one by --config.eval.split=test, or call it '
          'val'
        )
      raise errors.InputError(
        f'{what} has no clip in the split {name!r}; it has {found}{remedy}.'
      )


def describe(report):
  """Yields the report as lines of text."""
  counts = ', '.join(f'{len(n)} {s}' for s, n in report['num_frames'].items())
  several = ', several of a clip' if report.get('multi_label') else ''
  yield (
    f'Dataset {report["name"]}: {counts}; {len(report["labels"])} '
    f'classes{several}.'
  )
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
