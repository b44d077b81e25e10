"""Parts of long videos: when each begins and ends.

Of a part in seconds, the frames are those that begin in it, counted from the
video's beginning; of a part in frames, those of these numbers, from 0 on. The
end is never in it: parts that follow each other share no frame.
"""

import math
import os
import re
from typing import NamedTuple

from tsm_jax import errors
from tsm_jax.data.clips import opening
from tsm_jax.data.clips.films import length

SECONDS = ('start', 'end')
FRAMES = ('start_frame', 'end_frame')
COLUMNS = (*SECONDS, *FRAMES)
TOLERANCE = 0.001  # seconds: Matroska, for one, rounds times to milliseconds


class Segment(NamedTuple):
  """A part of a video.

  Attributes:
    start: at which it begins, in its unit.
    end: before which it ends, or None: with the video.
    unit: 'seconds' or 'frames'.
  """

  start: float
  end: float | None = None
  unit: str = 'seconds'

  def __str__(self):
    """As names of clips have it.

    >>> str(Segment(12.5, 14)), str(Segment(120, None, 'frames'))
    ('12.5-14', '120-f')
    """
    ends = ('' if x is None else _text(x) for x in (self.start, self.end))
    return '-'.join(ends) + ('f' if self.unit == 'frames' else '')

  def has_begun(self, place):
    """Whether a frame at a place (in its unit) is not before it."""
    return place >= self.start - self._tolerance()

  def has_ended(self, place):
    """Whether a frame at a place (in its unit) is behind it."""
    return self.end is not None and place >= self.end - self._tolerance()

  def _tolerance(self):
    return TOLERANCE if self.unit == 'seconds' else 0


def _text(number):
  return f'{number:.6f}'.rstrip('0').rstrip('.')


def read(row, fail):
  """The `Segment` of a row of a list, or None if it is the whole video.

  Args:
    row: a dict; `COLUMNS` may be among its keys.
    fail: raises InputError; it is called with what the row has.
  """
  given = {name: row[name] for name in COLUMNS if not _empty(row.get(name))}
  frames = [name for name in FRAMES if name in given]
  seconds = [name for name in SECONDS if name in given]
  if frames and seconds:
    fail(
      f'both {seconds[0]!r} (seconds) and {frames[0]!r}; a part is given in '
      'seconds or in frames'
    )
  unit = 'frames' if frames else 'seconds'
  names = FRAMES if frames else SECONDS
  start, end = (
    _number(name, given[name], unit, fail) if name in given else None
    for name in names
  )
  start = start or 0
  if end is not None and round(end, 6) <= round(start, 6):
    fail(
      f'the {names[0]} {_text(start)} and the {names[1]} {_text(end)}; a part '
      'must end after it starts'
    )
  return Segment(start, end, unit) if start or end is not None else None


def _empty(value):
  return value is None or (isinstance(value, str) and not value.strip())


def _number(name, value, unit, fail):
  wanted = (
    'seconds, 0 or more, such as 62.5'
    if unit == 'seconds'
    else 'the number of a frame, 0 or more'
  )
  plain = isinstance(value, (int, float)) and not isinstance(value, bool)
  text = value.strip() if isinstance(value, str) else ''
  if plain or re.fullmatch(r'[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?', text, re.I):
    try:
      number = float(value)
    except OverflowError:  # JSON has integers of any length
      number = math.inf
    whole = unit == 'seconds' or number.is_integer()
    if math.isfinite(number) and number >= 0 and whole:
      return number if unit == 'seconds' else int(number)
  return fail(f'the {name} {value!r}; it must be {wanted}')


def video(item):
  """The name of the video that an item is a part of, or all of."""
  if item.segment is None:
    return item.video_id
  return item.video_id.removesuffix(f'@{item.segment}')


def order(item):
  """What items are ordered by: their names, parts of a video as they come."""
  if item.segment is None:
    return (item.video_id,)
  return video(item), item.segment.unit, item.segment.start, item.video_id


def in_seconds(items):
  """When the parts of every video begin and end.

  Args:
    items: `listings.Item`s; those that are whole videos end with them.

  Returns:
    A dict from path to a list of `(start, end, label)`, seconds, in the order
    of the items. Frames are turned into seconds by the rate of the file.

  Raises:
    InputError: if the file of a part without an end, or of one in frames, does
      not open, or does not state what is needed.
  """
  found, lengths = {}, {}
  for item in items:
    part, path = item.segment or Segment(0), os.fspath(item.path)
    start, end = part.start, part.end
    try:
      if path not in lengths and (end is None or part.unit == 'frames'):
        lengths[path] = length.read(path)
      if part.unit == 'frames':
        rate = lengths[path].require('fps')
        start, end = (x if x is None else x / rate for x in (start, end))
      if end is None:
        end = lengths[path].require('seconds')
    except opening.VideoError as error:
      raise errors.InputError(f'{path!r} {error}.') from error
    found.setdefault(item.path, []).append((start, end, item.label))
  return found
