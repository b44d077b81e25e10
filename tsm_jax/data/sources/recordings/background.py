"""Clips in which nothing happens, from the stretches between a video's parts.

Whoever marks what happens in a recording leaves out the rest. A model that is
to keep quiet then needs clips of it.
"""

import os
import random
import statistics

from tsm_jax import errors
from tsm_jax.data.clips import videos
from tsm_jax.data.clips.films import length
from tsm_jax.data.sources import listings, segments, spelling
from tsm_jax.data.sources.recordings import checks
from tsm_jax.data.sources.splitting import by_hash

GAP = {'seconds': 0.1, 'frames': 1}  # at least, to whatever is beside a clip


def add(listing, label, seed=0, labels_file='', called='data.background'):
  """Adds background clips to a listing.

  A video gives at most as many as parts of it are used, each as long as one of
  these. A split gets at most as many, with those that are listed under the
  label, as the median of its other classes. What is listed and not used is no
  background, and neither is any of a video that is also a clip as a whole.

  Args:
    listing: a `listings.Listing` whose items have splits.
    label: of the clips; '' adds none.
    seed: of where they are.
    labels_file: that names the classes, or ''.
    called: what the user calls `label`.

  Returns:
    A `listings.Listing`. Its classes stay in their order, sorted, if the label
    is none of them.

  Raises:
    InputError: if the label cannot be the name of a class, no item is a part
      of a video, nothing fits between them, or a video has parts in seconds and
      parts in frames.
  """
  if not label:
    return listing
  where = f'{called} is {label!r}, '
  _require_one_label(listing, where)
  if problem := listings.problem(label):
    raise errors.InputError(f'{where}which {problem}; it must be a class name.')
  label = spelling.composed(label)
  if labels_file and label not in listing.labels:
    raise errors.InputError(
      f'{where}which is not among the classes of {str(labels_file)!r}.'
    )
  if not any(item.segment for item in listing.items):
    raise errors.InputError(
      f'{where}but no clip is a part of a video, with a start or an end: there '
      'is nothing between them.'
    )
  listing = _with_rows(listing, label)
  found, notes = [], []
  occupied = checks.by_video(listing.listed)
  for path, items in checks.by_video(listing.items).items():
    parts = occupied[path]
    try:
      found += _of_video(items, parts, label, seed, listing.modality)
    except videos.VideoError as error:
      name = segments.video(items[0])
      if isinstance(error, videos.PassingError):  # later, it would give some
        raise errors.InputError(f'{name!r} {error}.') from error
      notes.append(f'{name} gives no background: {error}')
  found = _bounded(found, listing.items, label, seed)
  if not found and label not in listing.labels:
    raise errors.InputError(
      f'{where}but between the parts of the videos there is no room for a clip.'
    )
  notes.append(
    f'{len(found)} clips of {label!r} are made of what is between the others'
  )
  labels = listing.labels
  if label not in labels:
    labels = listings.in_order([*labels, label])
  return listing._replace(
    items=sorted([*listing.items, *found], key=segments.order),
    labels=labels,
    notes=[*listing.notes, *notes],
  )


def _require_one_label(listing, where):
  """Raises InputError if clips may have several labels."""
  if listing.multi_label:
    raise errors.InputError(
      f'{where}but clips may have several labels: none of them is background; '
      'leave it out.'
    )


def _with_rows(listing, label):
  """A listing with all that is listed under the label.

  Where none of it is for training, it was left out: the label was no class.
  """
  if label in listing.labels:
    return listing
  splits = {item.path: item.split for item in listing.items}
  reason = f'has the label {label!r}, {listings.NOT_IN_MAP}'
  names = {name for name, why in listing.excluded if why == reason}
  listed = [
    item._replace(split=item.split or splits.get(item.path, ''))
    for item in listing.listed
    if item.label == label and item.video_id in names
  ]
  listed = [item for item in listed if item.split]
  restored = {item.video_id for item in listed}
  return listing._replace(
    items=[*listing.items, *listed],
    excluded=[
      (name, why)
      for name, why in listing.excluded
      if not (name in restored and why == reason)
    ],
  )


def _of_video(items, parts, label, seed, modality):
  """The background clips of one video.

  Args:
    items: its clips, of which the lengths are taken.
    parts: all that is listed of it.
    label: of the background.
    seed: of where they are.
    modality: 'rgb' or 'flow'.
  """
  if not all(item.segment for item in parts):
    return []
  units = {item.segment.unit for item in parts}
  if len(units) > 1:
    raise errors.InputError(
      f'Of the video {segments.video(items[0])!r}, {parts[0].video_id!r} and '
      'others are given in seconds and in frames; for background, all must be '
      'given alike.'
    )
  (unit,) = units
  end = _end(items[0].path, unit, modality)
  stretches = _stretches(parts, end, GAP[unit])
  lengths = [
    (end if item.segment.end is None else item.segment.end) - item.segment.start
    for item in items
    if item.label != label
  ]
  # By its `random` only: what else it has may change between versions.
  rng = random.Random(f'{seed}:{segments.video(items[0])}')
  found = []
  for _ in lengths:
    wanted = lengths[int(rng.random() * len(lengths))]
    segment = _draw(stretches, wanted, unit, rng)
    if segment is None:  # as long as a shorter one of them
      fitting = [x for x in lengths if any(b - a >= x for a, b in stretches)]
      if not fitting:
        break
      segment = _draw(stretches, max(fitting), unit, rng)
    found.append(
      items[0]._replace(
        video_id=f'{segments.video(items[0])}@{segment}',
        label=label,
        segment=segment,
      )
    )
  return found


def _end(path, unit, modality):
  """Where a video ends, as it states it."""
  stated = length.read(os.fspath(path), modality)
  if unit == 'frames':
    return stated.require('num_frames')
  return stated.require('seconds')


def _stretches(parts, end, gap):
  """`[start, end]` of what is between parts, and a gap away from them."""
  stretches, start = [], 0
  for item in sorted(parts, key=lambda item: item.segment.start):
    stretches.append([start, item.segment.start - gap])
    stop = end if item.segment.end is None else item.segment.end
    start = max(start, stop + gap)
  stretches.append([start, end - gap])
  return [[a, b] for a, b in stretches if a < b]


def _draw(stretches, wanted, unit, rng):
  """Cuts a `Segment` out of stretches, or returns None where it fits in none.

  Every place at which it fits is as likely as the others.
  """
  rooms = [max(b - a - wanted, -1) for a, b in stretches]
  fitting = [i for i, room in enumerate(rooms) if room >= 0]
  if not fitting:
    return None
  place = rng.random() * sum(rooms[i] for i in fitting)
  for i in fitting:
    if place <= rooms[i]:
      break
    place -= rooms[i]
  low, high = stretches[i]
  start = low + min(place, rooms[i])
  # Milliseconds, downwards, so that it stays within.
  start = int(start) if unit == 'frames' else max(low, int(start * 1000) / 1000)
  end = start + wanted
  if unit == 'seconds':
    start, end = round(start, 6), round(end, 6)
  gap = GAP[unit]
  stretches[i : i + 1] = [
    [a, b] for a, b in ((low, start - gap), (end + gap, high)) if a < b
  ]
  return segments.Segment(start, end, unit)


def _bounded(found, items, label, seed):
  """Of background clips, at most as many as a split may have."""
  kept = []
  for split in sorted({item.split for item in found}):
    counts = {}
    for item in items:
      if item.split == split:
        counts[item.label] = counts.get(item.label, 0) + 1
    listed = counts.pop(label, 0)
    most = max(int(statistics.median(counts.values() or [0])) - listed, 0)
    some = [item for item in found if item.split == split]
    some.sort(key=lambda item: by_hash.place(item.video_id, seed))
    kept += some[:most]
  return kept
