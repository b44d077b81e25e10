"""Which outputs the flags of a command ask for, by the endings of files."""

import os

from tsm_jax import errors
from tsm_jax.stream.output import subtitles, tables

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
    if path in [other for _, other in found[:position]]:
      raise errors.InputError(f'{path!r} is asked for twice.')


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
  for flag in FLAGS:
    for given in getattr(args, flag):
      root, _ = os.path.splitext(given)
      ending = _ending(given)
      path = f'{root}{part}{ending}'
      if _same(path, name):
        raise errors.InputError(
          f'--{flag} is {given!r}, which is the video itself; choose another '
          'name.'
        )
      yield _make(flag, ending, path, (name, labels, rate))


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
