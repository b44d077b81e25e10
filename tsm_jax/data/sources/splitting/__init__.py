"""Which clips are for training, and which for evaluation."""

from tsm_jax import errors
from tsm_jax.data.sources.splitting import by_hash, folds, groups, hold_out


def assign(items, splits, source, called, notes):
  """Items with splits; those that a list or folder gives stay.

  Args:
    items: a list of `listings.Item`.
    splits: a `defaults.Splits`.
    source: path of the list or folder.
    called: how the user calls a field of `splits`.
    notes: a list; sentences on groups that are odd, or do nothing, are
      added to it.

  Returns:
    A list of items.

  Raises:
    InputError: if folds are asked for and there are splits, or too few clips,
      or `splits.group` does not name a group of every clip.
  """
  given = any(item.split for item in items)
  if splits.group:
    items = groups.by_pattern(items, splits.group, called('group'), not given)
  if given:
    if splits.folds:
      raise errors.InputError(
        f'{called("folds")} is {splits.folds}, but {str(source)!r} says itself '
        'which clips are for training; take that out of it, or let both '
        f'{called("folds")} and {called("fold")} be 0.'
      )
    notes += _apart(items)
    return items
  share, seed = splits.holdout, splits.holdout_seed
  if splits.holdout_rule == 'hash':
    if any(item.group for item in items):
      notes.append(
        f"the column 'group' does nothing with {called('holdout_rule')}="
        "'hash': clips of a group may be in several splits"
      )
    return by_hash.hold_out(items, share, seed)
  lacking = [item.video_id for item in items if not item.group]
  if 0 < len(lacking) < len(items):
    notes.append(
      f'{len(lacking)} of {len(items)} clips have no group, as {lacking[0]}; '
      'each is one of its own'
    )
  if splits.folds:
    return folds.deal(items, splits.folds, seed, called('folds'))
  return hold_out.hold_out(items, share, seed)


def _apart(items):
  """A sentence on the groups that are in several splits, if there are any."""
  found = groups.apart(items)
  for group, some in list(found.items())[:1]:
    more = f', and {len(found) - 1} others are in several, too'
    yield (
      f'the group {group!r} is in {" and ".join(sorted(some))}'
      f'{more if len(found) > 1 else ""}: evaluation has seen it in training'
    )
