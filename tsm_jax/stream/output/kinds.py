"""Which outputs the flags of a command ask for, by the endings of files."""

import os

from tsm_jax import errors
from tsm_jax.stream.output import base, subtitles, tables

FLAGS = {
  'events': ('.csv', '.srt', '.vtt'),
  'scores': ('.csv', '.png'),
  'timeline': ('.png',),
  'overlay': ('.mp4', '.mkv'),
}


def add_flags(parser):
  """Adds a flag for every kind of output."""
  for flag, text in (
    ('events', 'what happens: CSV, or SRT or WebVTT subtitles'),
    ('scores', 'mean scores of every second; as .png the same as --timeline'),
    ('timeline', 'a picture of the scores over time, with the events'),
    ('overlay', 'the video with what happens written on it'),
  ):
    parser.add_argument(
      f'--{flag}',
      action='append',
      default=[],
      metavar='FILE',
      help=f'{text} ({", ".join(FLAGS[flag])})',
    )


def check(args):
  """Raises InputError if a flag names a file of another kind, or one twice."""
  found = [(flag, path) for flag in FLAGS for path in getattr(args, flag)]
  for position, (flag, path) in enumerate(found):
    if _ending(path) not in FLAGS[flag]:
      raise errors.InputError(
        f'--{flag} is {path!r}; its ending must be one of '
        f'{", ".join(FLAGS[flag])}.'
      )
    others = [other for _, other in found[:position]]
    if os.path.realpath(path) in map(os.path.realpath, others):
      raise errors.InputError(f'{path!r} is asked for twice.')


def check_paths(args, names, parts):
  """Raises InputError if a file cannot be written, or one would be lost.

  Args:
    args: with the flags of `add_flags`.
    names: of all videos that will be watched.
    parts: of each, what its files are told apart by, see `create`.
  """
  videos, taken = set(map(os.path.realpath, names)), set()
  for part in parts:
    for flag, _, path in _paths(args, part):
      base.check(path)
      real = os.path.realpath(path)
      if real in videos:
        raise errors.InputError(
          f'--{flag} would write {path!r}, which is the video itself or '
          'another one to be watched; choose another name.'
        )
      if real in taken:
        raise errors.InputError(
          f'{path!r} would be written twice; choose names that do not begin '
          'alike.'
        )
      taken.add(real)


def _paths(args, part):
  """Yields `(flag, given, path)` of every file of a video."""
  for flag in FLAGS:
    for given in getattr(args, flag):
      root, _ = os.path.splitext(given)
      yield flag, given, f'{root}{part}{_ending(given)}'


def create(args, name, labels, rate=0, part=''):
  """Yields the outputs of a video, each made when it is asked for.

  Args:
    args: with the flags of `add_flags`.
    name: of the video.
    labels: class names by index.
    rate: frames per second that the video states, or 0.
    part: comes between name and ending of every file, to tell videos apart.

  Yields:
    `base.Output`s, to be closed.

  Raises:
    InputError: if a file cannot be written, or is the video itself.
  """
  for flag, given, path in _paths(args, part):
    if _same(path, name):
      raise errors.InputError(
        f'--{flag} is {given!r}, which is the video itself; choose another '
        'name.'
      )
    yield _make(flag, _ending(given), path, (name, labels, rate))


def _same(path, name):
  """Whether both are the same file; the name of a camera is none."""
  both = os.path.exists(path) and os.path.exists(name)
  return both and os.path.samefile(path, name)


def _make(flag, ending, path, video):
  # These load Matplotlib, which takes its time.
  from tsm_jax.stream.output import overlay, timeline

  name, labels, rate = video
  if flag == 'overlay':
    return overlay.Overlay(path, rate)
  if ending == '.png':
    return timeline.Timeline(path, labels)
  if flag == 'scores':
    return tables.ScoreCsv(path, labels)
  if ending == '.csv':
    return tables.EventCsv(path, name)
  return subtitles.Subtitles(path, ending[1:])


def _ending(path):
  return os.path.splitext(path)[1].lower()
