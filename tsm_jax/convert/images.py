"""Whether a network is shown the images that its weights have seen."""

import numpy as np

_NEAR = 0.5  # of a level from 0 to 255; means are rounded in other ways


def compare(theirs, ours, log):
  """Logs where a run makes other numbers of its pixels than the weights saw.

  Args:
    theirs: fields of the section `data` that are known of the weights; of mean
      and std without a divisor, it is 255.
    ours: fields of that section of the run, or None.
    log: called with a sentence.
  """
  if ours is None:
    return
  names = ('mean', 'std', 'divisor') if _levels_differ(theirs, ours) else ()
  other = [
    name
    for name in (*names, 'channel_order')
    if name in theirs and _plain(theirs[name]) != _plain(ours[name])
  ]
  if other:
    now = ', '.join(f'data.{name} is {ours[name]!r}' for name in other)
    flags = ' '.join(f'--config.data.{n}={_flag(theirs[n])}' for n in other)
    log(f'The weights saw other images: {now}; theirs are {flags}.')


def _levels_differ(theirs, ours):
  """Whether the mean or deviation of pixels from 0 to 255 is another one."""

  def levels(of, name):
    return np.asarray(of[name], np.float64) * of.get('divisor', 255.0)

  return any(
    np.abs(levels(theirs, name) - levels(ours, name)).max() > _NEAR
    for name in ('mean', 'std')
    if name in theirs
  )


def _plain(value):
  return list(value) if isinstance(value, list | tuple) else value


def _flag(value):
  if isinstance(value, list | tuple):
    return f"'({','.join(map(str, value))})'"
  return value
