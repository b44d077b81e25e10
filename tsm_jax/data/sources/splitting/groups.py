"""Clips that belong together, as of one person, recording or camera.

A unit is what is never in two splits: all clips of a group, and all parts of a
video, whatever links and spellings lead to it. Where clips of one video are of
several groups, these are one unit, too.
"""

import re
from typing import NamedTuple

import numpy as np

from tsm_jax import errors
from tsm_jax.data.sources import columns, segments, spelling


class Unit(NamedTuple):
  """Clips that are never in two splits.

  Attributes:
    name: of the group, else of the video; it decides about the split.
    members: a list of the indices of its items.
  """

  name: str
  members: list[int]


def read(row, fail):
  """The group of a row of a list, or '' if it has none.

  Args:
    row: a dict.
    fail: raises InputError; it is called with what the row has.
  """
  value = row.get(columns.GROUP)
  if value is None:
    return ''
  if isinstance(value, bool) or not isinstance(value, (int, str)):
    fail(f'the group {value!r}; a group is text or a whole number')
  return spelling.composed(str(value).strip())


def by_pattern(items, pattern, called='data.group', required=True):
  """Items with the groups that a regular expression finds in their paths.

  A path is as in the list, or relative to the folder of the classes. The first
  group of the expression counts, or where it has none, all that matches.

  Args:
    items: `listings.Item`s.
    pattern: the expression; it may match anywhere in a path.
    called: what the user calls it.
    required: whether all clips must have a group, or some may have none.

  Returns:
    A list of items.

  Raises:
    InputError: if it is no regular expression, or finds nothing in a path where
      that is required.
  """
  try:
    expression = re.compile(pattern)
  except re.error as error:
    raise errors.InputError(
      f'{called} is {pattern!r}, which is no regular expression: {error}.'
    ) from None
  found, missing = [], []
  for item in items:
    path = spelling.composed(segments.video(item))
    match = expression.search(path)
    name = match and match[1 if expression.groups else 0]
    if not name:
      missing.append(path)
    found.append(item._replace(group=name or ''))
  if missing and required:
    raise errors.InputError(
      f'{called} is {pattern!r}, which finds nothing in {len(missing)} of '
      f'{len(found)} paths, the first of which is {missing[0]!r}; it must name '
      'the group of every clip.'
    )
  return found


def units(items):
  """The units of clips, a list of `Unit`; see above.

  Args:
    items: a list of `listings.Item`.
  """
  files = spelling.files(item.path for item in items)
  parents = {}

  def root(key):
    while parents.setdefault(key, key) != key:
      parents[key] = parents[parents[key]]
      key = parents[key]
    return key

  for item in items:
    if item.group:
      parents[root(('file', files[item.path]))] = root(('group', item.group))
  members = {}
  for number, item in enumerate(items):
    members.setdefault(root(('file', files[item.path])), []).append(number)
  return [Unit(_name(items, some), some) for some in members.values()]


def _name(items, members):
  some = [items[i] for i in members]
  names = {item.group for item in some} - {''}
  return min(names or {segments.video(item) for item in some})


def counts(items, units):
  """How many clips of each class, sorted, are in each unit: int `[U, C]`."""
  labels = sorted({name for item in items for name in item.classes})
  column = {label: number for number, label in enumerate(labels)}
  found = np.zeros((len(units), len(labels)), int)
  for row, unit in enumerate(units):
    for number in unit.members:
      for name in items[number].classes:
        found[row, column[name]] += 1
  return found


def apart(items):
  """Groups of which clips are in several splits: `{group: {split}}`."""
  found = {}
  for item in items:
    if item.group and item.split:
      found.setdefault(item.group, set()).add(item.split)
  return {group: some for group, some in found.items() if len(some) > 1}
