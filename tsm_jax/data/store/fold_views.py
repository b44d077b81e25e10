"""A dataset of folds as a run sees it: one is 'val', the others 'train'."""

from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.sources.splitting import folds


def sides(path, report, data):
  """The folds that are the splits of a run, `{split: [fold]}`.

  Args:
    path: of the dataset.
    report: its build report.
    data: the fields of `configs/common.py`'s `data`.

  Returns:
    A dict, empty where the dataset has no folds.

  Raises:
    InputError: if it has others than are asked for.
  """
  rule = defaults.Splits.from_fields(data)
  count = len(folds.names(report['num_frames']))
  if count != rule.folds:
    has = f'is in {count} folds' if count else 'is not in folds'
    remedy = (
      f'give data.folds={count}, and data.fold'
      if count
      else 'build it by --folds, or give the videos as data.source'
    )
    raise errors.InputError(
      f'data.folds is {rule.folds}, but the dataset {str(path)!r} {has}; '
      f'{remedy}.'
    )
  return folds.sides(rule.folds, rule.fold) if count else {}


def joined(splits, sides):
  """`{split: list}`, of which each is made of those of several folds."""
  return {
    split: [one for fold in names for one in splits.get(fold, [])]
    for split, names in sides.items()
  }


def seen(report, sides):
  """A build report in which folds are the splits that `sides` says."""
  if not sides:
    return report
  every = report['num_frames'].keys()
  changed = {
    name: joined(value, sides)
    for name, value in report.items()
    if isinstance(value, dict) and value.keys() == every
  }
  return {**report, **changed}
