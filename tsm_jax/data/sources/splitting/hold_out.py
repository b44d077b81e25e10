"""The clips that are held out for evaluation: a share of every class."""

import itertools

import numpy as np

from tsm_jax.data.sources.splitting import by_hash, groups

_FEW = 12  # units of which all choices are tried
# Above this many numbers, units are no longer exchanged for one another.
_MOST = 20_000_000
_EPSILON = 1e-9  # less is a rounding error


def hold_out(items, share, seed):
  """Gives every item the split 'train' or 'val', the same for the same items.

  Where every clip is a unit of its own (see `groups`), the share is exact: of n
  clips of a class, n * share are held out, rounded to the nearest (a half
  upwards), but at least one and never all. A class of one clip is trained on,
  and not evaluated. They are the first ones in an order in which hashes of
  their names and of the seed put them. So of a class, when m clips are added,
  at most m of the old ones change sides, and all in the same direction;
  of one that doubles, about as many as the square root of those that are held
  out. A larger share holds out the same clips and more.

  Where units have several clips, or clips several labels, no choice of them may
  give the share. Then the best is what has every class in training, then, of
  most classes that are in several units, one in 'val', and then shares as near
  as can be (the sum of the squares of what is missing or too much). Of up to 12
  units, all choices are tried. More are taken in that order as long as it
  becomes no worse; after that, as long as it becomes better, one is moved, or
  exchanged for another (unless there are thousands). More clips may move other
  units.

  Args:
    items: a list of `listings.Item`.
    share: in [0, 1).
    seed: another one holds out others, where there is a choice.

  Returns:
    The items with their splits, a list.
  """
  units = groups.units(items)
  units.sort(key=lambda unit: (by_hash.place(unit.name, seed), unit.name))
  several = any(item.labels for item in items)
  if len(units) == len(items) and not several:
    chosen = _exactly(items, units, share)
  else:
    chosen = _nearly(groups.counts(items, units), share)
  held_out = {i for row in chosen for i in units[row].members}
  return [
    item._replace(split='val' if number in held_out else 'train')
    for number, item in enumerate(items)
  ]


def count(clips, share):
  """How many of the clips of a class are held out.

  >>> [count(n, 0.2) for n in (1, 2, 7, 8, 12, 13)]
  [0, 1, 1, 2, 2, 3]
  """
  if clips < 2 or not share:
    return 0
  return min(max(int(clips * share + 0.5 + _EPSILON), 1), clips - 1)


def _exactly(items, units, share):
  """The rows of the units of one clip that are held out."""
  classes = {}
  for row, unit in enumerate(units):
    classes.setdefault(items[unit.members[0]].label, []).append(row)
  return [
    row for rows in classes.values() for row in rows[: count(len(rows), share)]
  ]


def _nearly(counts, share):
  """The rows of the units that are held out, of `[U, C]` clips."""
  if not share:
    return []
  distance = _Distance(counts, share)
  if len(counts) <= _FEW:
    # Of equal ones, the one with the first units.
    choices = np.array([*itertools.product((1, 0), repeat=len(counts))])
    return np.flatnonzero(choices[distance(choices @ counts).round(9).argmin()])
  taken = np.zeros(len(counts), bool)
  held_out = np.zeros(counts.shape[1], int)
  for row, clips in enumerate(counts):
    if distance(held_out + clips) <= distance(held_out) + _EPSILON:
      taken[row], held_out = True, held_out + clips
  while (rows := _better(counts, taken, distance)) is not None:
    taken[rows] = ~taken[rows]
  return np.flatnonzero(taken)


class _Distance:
  """How far from the share the held-out clips `[..., C]` of the classes are."""

  def __init__(self, counts, share):
    self._share = share
    self._total = counts.sum(0)
    self._several = (counts > 0).sum(0) > 1
    self._weight = counts.shape[1] + 1  # more than all shares can be wrong

  def __call__(self, held_out):
    wrong = (held_out / self._total - self._share) ** 2
    missing = self._several & (held_out == 0)
    untrained = held_out == self._total
    weight = self._weight
    return (wrong + weight * missing + weight**2 * untrained).sum(-1)


def _better(counts, taken, distance):
  """The rows of one unit, or two, whose sides are better changed, or None."""
  held_out = counts[taken].sum(0)
  enough = distance(held_out) - _EPSILON
  moved = distance(held_out + np.where(taken, -1, 1)[:, None] * counts)
  if moved.min() < enough:
    return [moved.argmin()]
  left = np.flatnonzero(~taken)
  if taken.sum() * counts[left].size > _MOST:
    return None
  for row in np.flatnonzero(taken):
    exchanged = distance(held_out - counts[row] + counts[left])
    if len(left) and exchanged.min() < enough:
      return [row, left[exchanged.argmin()]]
  return None
