"""The rule of earlier versions, whose runs and datasets are found by it."""

import hashlib

from tsm_jax.data.sources import segments, spelling


def hold_out(items, share, seed):
  """Gives every item a split: of each class, a fixed random share is 'val'.

  Parts of one video stay together. Then the share is one of videos, and of a
  class that is in several, one at least is held out and one is not, as far as
  the other classes of these videos permit it.

  Args:
    items: a list of `listings.Item`.
    share: in [0, 1).
    seed: with the name of a video it decides, so that more videos do not move
      the others.

  Returns:
    The items with their splits, a list.
  """
  if any(item.segment for item in items):
    return _videos(items, share, seed)
  classes = {}
  for item in items:
    classes.setdefault(item.label, []).append(item)
  held_out = set()
  for members in classes.values():
    members = sorted(members, key=lambda item: place(item.video_id, seed))
    count = sum(place(item.video_id, seed) < share for item in members)
    if share and len(members) > 1:
      count = min(max(count, 1), len(members) - 1)
    held_out.update(item.video_id for item in members[:count])
  return [
    item._replace(split='val' if item.video_id in held_out else 'train')
    for item in items
  ]


def place(name, seed):
  """A number in [0, 1), random but always the same."""
  digest = hashlib.sha256(f'{seed}:{name}'.encode()).digest()
  return int.from_bytes(digest[:8]) / 2**64


def _videos(items, share, seed):
  """As `hold_out`, of items of which some are parts of a video."""
  places, labels = {}, {}
  files = spelling.files(item.path for item in items)
  for item in items:
    path = files[item.path]
    places.setdefault(path, place(segments.video(item), seed))
    labels.setdefault(path, set()).add(item.label)
  order = sorted(places, key=places.get)
  held_out = {path for path in order if places[path] < share}
  if share:
    _complete(held_out, order, labels)
  _complete(held_out, order[::-1], labels, taken=True)
  return [
    item._replace(split='val' if files[item.path] in held_out else 'train')
    for item in items
  ]


def _complete(held_out, order, labels, taken=False):
  """Moves a video for every class that is not held out, or only held out.

  Args:
    held_out: the set of the videos that are; it is changed.
    order: of all videos, those first that are moved first.
    labels: a dict from video to the set of its classes.
    taken: whether videos are taken out of the set, so that training has them.
  """

  def there(path):
    return (path in held_out) != taken

  def present(label, without):
    return any(
      label in labels[path] and not there(path) and path != without
      for path in order
    )

  for label in sorted(set().union(*labels.values())):
    holders = [path for path in order if label in labels[path]]
    if any(map(there, holders)) or (len(holders) < 2 and not taken):
      continue
    harmless = [
      path
      for path in holders
      if all(present(other, path) for other in labels[path])
    ]
    held_out ^= {(harmless or holders)[0]}
