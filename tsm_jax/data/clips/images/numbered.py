"""The numbers in the names of a clip's images."""

import itertools
import math
import os
import pathlib
import re

from tsm_jax.data.clips import opening

_NUMBERED = re.compile(r'(?P<stem>.*?)(?P<number>\d+)\.(jpe?g|png)', re.I)
# Only looked at where there are none of those.
_OTHERS = re.compile(r'(?P<stem>.*?)(?P<number>\d+)\.(bmp|webp)', re.I)
# As `frame (1).jpg` and `1_small.jpg`; only where there are none of either.
_TAILED = re.compile(
  r'(?P<stem>.*?)(?P<number>\d+)(?P<tail>\D+)\.(jpe?g|png|bmp|webp)', re.I
)
_MIN_REGULAR = 4  # images, to take their numbers for a count of its own
_MAX_GAPS = 0.1  # of those numbers


def series(folder, ignored):
  """The numbered images of a folder, as `{stem: {number: path}}`."""
  try:
    names = os.listdir(folder)
  except OSError as error:
    raise opening.unreadable(error) from error
  for pattern in (_NUMBERED, _OTHERS, _TAILED):
    if found := _numbered(folder, names, pattern, ignored):
      return found
  return {}


def _numbered(folder, names, pattern, ignored):
  """As `series`, of the names that a pattern matches."""
  found = {}
  for name in names:
    match = pattern.fullmatch(name)
    if match and not name.startswith(ignored):
      stem = match['stem'] + match.groupdict().get('tail', '')
      images = found.setdefault(stem, {})
      twin = images.setdefault(int(match['number']), pathlib.Path(folder, name))
      if twin.name != name:
        twins = ' and '.join(sorted((twin.name, name)))
        raise opening.VideoError(f'{twins} have the same number')
  return found


def counted(images):
  """`(first, step)` of the numbers that a whole clip would have.

  They are 0 or 1 and 1, unless most images would then be missing, but hardly
  any of those from another first number on, or of every n-th one.
  """
  first, last, count = min(images), max(images), len(images)
  numbers = sorted(images)
  step = math.gcd(*(b - a for a, b in itertools.pairwise(numbers)))
  usual = min(first, 1), 1
  enough = 1 - _MAX_GAPS
  if count < _MIN_REGULAR or count >= enough * (last - usual[0] + 1):
    return usual
  return (
    (first, step) if count >= enough * ((last - first) // step + 1) else usual
  )
