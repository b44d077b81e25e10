"""Cross-validation: every clip is evaluated in one of several folds."""

import numpy as np

from tsm_jax import errors
from tsm_jax.data.sources.splitting import by_hash, groups

_NAME = 'fold_{}'  # as of a split; a dataset is built once for all folds


def deal(items, folds, seed, called='data.folds'):
  """Gives every item the split 'fold_0', 'fold_1', ..., in equal shares.

  Where every clip is a unit of its own (see `groups`), the folds have equally
  many clips of each class, and of all classes, but for one. Else the units are
  dealt from the largest on, each to the fold in which it makes the shares of
  its classes least unequal (the sum of their squares), so that a class of
  several units is not all in one fold, if it can be. Where folds are alike, it
  goes to the one of fewest clips. More clips move others between folds.

  Args:
    items: a list of `listings.Item`.
    folds: their number, at least 2.
    seed: with the names of units it decides about those that are alike.
    called: what the user calls `folds`.

  Returns:
    The items with their splits, a list.

  Raises:
    InputError: if there are more folds than units.
  """
  units = groups.units(items)
  if len(units) < folds:
    what = 'groups' if len(units) < len(items) else 'clips'
    raise errors.InputError(
      f'{called} is {folds}; it must be at most {len(units)}, the number of '
      f'{what}.'
    )

  def order(unit):
    first = min(items[i].label for i in unit.members)
    place = by_hash.place(unit.name, seed)
    return -len(unit.members), first, place, unit.name

  units.sort(key=order)
  splits = {}
  for unit, fold in zip(units, _deal(groups.counts(items, units), folds)):
    splits.update(dict.fromkeys(unit.members, _NAME.format(fold)))
  return [
    item._replace(split=splits[number]) for number, item in enumerate(items)
  ]


def _deal(counts, folds):
  """Yields the fold of each unit, of `[U, C]` clips."""
  total = counts.sum(0)
  several = (counts > 0).sum(0) > 1
  inside = np.zeros((folds, counts.shape[1]), int)
  for clips in counts:
    own = clips > 0
    before, after = inside[:, own], inside[:, own] + clips[own]
    worse = ((after**2 - before**2) / total[own] ** 2).sum(1)
    # More than shares can be: nothing of the class would be trained on.
    worse += ((after == total[own]) & several[own]).sum(1) * (own.sum() + 1)
    alike = np.flatnonzero(worse <= worse.min() + 1e-9)
    fold = min(alike, key=lambda fold: inside[fold].sum())
    inside[fold] += clips
    yield fold


def names(splits):
  """Those of a dataset's splits that are folds, in their order."""
  found = (_NAME.format(number) for number in range(len(splits)))
  return [name for name in found if name in splits]


def sides(folds, fold):
  """The folds that are the splits 'train' and 'val'.

  >>> sides(3, 1)
  {'train': ['fold_0', 'fold_2'], 'val': ['fold_1']}
  """
  every = [_NAME.format(number) for number in range(folds)]
  return {'train': every[:fold] + every[fold + 1 :], 'val': [every[fold]]}


def untrained(items, labels):
  """A sentence on every class of which one fold has all clips."""
  found = {}
  for item in items:
    for name in item.classes:
      found.setdefault(name, set()).add(item.split)
  for label in labels:
    if len(found.get(label, ())) == 1:
      (split,) = found[label]
      yield (
        f'class {label!r} is in {split!r} only: where that is evaluated, '
        'nothing was trained on it'
      )
