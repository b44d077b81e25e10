"""What must hold of the parts of one video, whatever list they are in."""

from tsm_jax import errors
from tsm_jax.data.sources import segments, spelling


def by_video(items):
  """A dict from the path of every video of which parts are listed to items."""
  items, found = list(items), {}
  if not any(item.segment for item in items):
    return {}
  same = spelling.files(item.path for item in items)
  for item in items:
    found.setdefault(same[item.path], []).append(item)
  return {
    path: some
    for path, some in found.items()
    if any(item.segment for item in some)
  }


def rows(items, source):
  """Checks the rows of a list.

  Args:
    items: of every row, in their order.
    source: path of the list.

  Returns:
    A list of sentences on what is odd.

  Raises:
    InputError: if rows of one video are of two splits, or one gives seconds of
      a folder of images.
  """
  numbers = {id(item): number for number, item in enumerate(items, 1)}
  overlaps = []
  for some in by_video(items).values():
    first = {}
    for item in some:
      first.setdefault(item.split, item)
    if len(first.keys() - {''}) > 1:
      one, other = [item for split, item in first.items() if split][:2]
      raise errors.InputError(
        f'Rows {numbers[id(one)]} and {numbers[id(other)]} of {str(source)!r} '
        f'are of the video {segments.video(one)!r}, but of the splits '
        f'{one.split!r} and {other.split!r}; a video is of one split.'
      )
    _refuse_times(some, numbers, source)
    overlaps += overlapping(some)
  if not overlaps:
    return []
  one, other = overlaps[0]
  return [
    f'{len(overlaps)} rows of {source.name} overlap rows of other labels; each '
    f'is used, for example rows {numbers[id(one)]} ({one.label!r}) and '
    f'{numbers[id(other)]} ({other.label!r})'
  ]


def _refuse_times(items, numbers, source):
  for item in items:
    if item.segment and item.segment.unit == 'seconds':
      if spelling.find(item.path).is_dir():
        raise errors.InputError(
          f'Row {numbers[id(item)]} of {str(source)!r} gives seconds of '
          f'{segments.video(item)!r}, a folder of images, which have no times; '
          'give start_frame and end_frame, counted from 0.'
        )
      return  # all of them have this path


def overlapping(items):
  """Pairs of parts of one video that overlap under different labels.

  Returns:
    A list of `(item, other)`, with at most one for each item.
  """
  found, ends = [], {}
  for item in sorted(filter(lambda item: item.segment, items), key=_place):
    unit, start, end = _place(item)
    for (other_unit, label), (other_end, other) in ends.items():
      if other.segment == item.segment:  # only the first of them is used
        continue
      if other_unit == unit and label != item.label and other_end > start:
        found.append((other, item))
        break
    key = unit, item.label
    ends[key] = max(ends.get(key, (end, item)), (end, item), key=lambda x: x[0])
  return found


def _place(item):
  start, end, unit = item.segment
  return unit, start, float('inf') if end is None else end


def one_split(items):
  """Raises InputError if parts of one video are of two splits."""
  for some in by_video(items).values():
    found = {item.split: item for item in some if item.split}
    if len(found) > 1:
      one, other = list(found.values())[:2]
      raise errors.InputError(
        f'{one.video_id!r} is in the split {one.split!r}, and '
        f'{other.video_id!r}, of the same video, in {other.split!r}; a video '
        'is of one split.'
      )
