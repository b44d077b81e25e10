"""The JSON of ActivityNet, which THUMOS, HACS and others have taken over."""

import math

from tsm_jax.data.sources import columns
from tsm_jax.data.sources.recordings import annotations


def is_database(content):
  """Whether the content of a JSON file is of this kind."""
  return isinstance(content, dict) and isinstance(content.get('database'), dict)


def read(content, notes):
  """The annotations of a `database`.

  Args:
    content: of the JSON file.
    notes: a list; sentences on what is passed over are added to it.

  Returns:
    A list of `annotations.Annotation`.

  Raises:
    Problem: if a video is not described as in ActivityNet.
  """
  found, empty = [], 0
  for video, entry in content['database'].items():
    if not isinstance(entry, dict):
      raise annotations.Problem(f'describes the video {video!r} by {entry!r}')
    parts = entry.get('annotations') or []
    if not isinstance(parts, list):
      raise annotations.Problem(
        f'has the annotations {parts!r} of the video {video!r}; they must be a '
        'list'
      )
    empty += not parts
    split = _split(video, entry.get('subset') or '') if parts else ''
    for part in parts:
      try:
        start, end = map(float, part['segment'])
        label = part['label']
        if not (math.isfinite(start) and math.isfinite(end)):
          raise ValueError
        if isinstance(part['segment'], str) or not isinstance(
          label, (str, int)
        ):
          raise TypeError
      except (KeyError, OverflowError, TypeError, ValueError):
        raise annotations.Problem(
          f'has the annotation {part!r} of the video {video!r}; it must have a '
          'label and a segment of two numbers'
        ) from None
      found.append(annotations.Annotation(video, start, end, str(label), split))
  if empty:
    notes.append(f'{empty} videos have no annotation')
  return found


def _split(video, subset):
  split = columns.SPLITS.get(str(subset).lower(), '')
  if subset and not split:
    raise annotations.Problem(
      f'has the subset {subset!r} of the video {video!r}; choose from '
      f'{", ".join(columns.SPLITS)}'
    )
  return split
