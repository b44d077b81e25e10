"""The numbers of an evaluation of events: for JSON, and as tables."""

import math

import numpy as np
from rich import table, text

from tsm_jax import errors
from tsm_jax.stream.events import metrics

_MAX_CONFUSED = 20  # labels, for a table of confusions
_NOTHING = '(nothing)'


def as_dict(result, labels):
  """A `metrics.Result` as a dict for JSON; None for what is not defined.

  Args:
    result: a `metrics.Result`.
    labels: class names by index.
  """
  names = [*labels, '']
  levels = metrics.LEVELS
  return {
    'mean_average_precision': {
      str(level): _plain(result.mean_average_precision(level))
      for level in levels
    },
    'average_precision': {
      label: {str(level): _plain(x) for level, x in by_level.items()}
      for label, by_level in result.average_precision.items()
    },
    **{
      name: _plain(getattr(result, name))
      for name in ('precision', 'recall', 'f1', 'false_alarms_per_hour')
    },
    'num_true': result.num_true,
    'num_found': result.num_found,
    'num_hits': result.num_hits,
    'hours': result.hours,
    'delay': dict(zip(('median', 'high'), map(_plain, delay(result)))),
    'confusion': [
      {'true': names[row], 'found': names[column], 'count': int(count)}
      for (row, column), count in np.ndenumerate(result.confusion)
      if count
    ],
  }


def _plain(number):
  return float(number) if math.isfinite(number) else None


def delay(result):
  """`(median, 90 % quantile)` of the delays in seconds, or NaN."""
  if not len(result.delays):
    return math.nan, math.nan
  return tuple(np.quantile(result.delays, (0.5, 0.9)).tolist())


def tables(result, labels):
  """The tables of rich that show a `metrics.Result`, a list."""
  shown = [_precisions(result), _overall(result)]
  used = result.confusion.any(axis=0) | result.confusion.any(axis=1)
  if used.sum() <= _MAX_CONFUSED:
    shown.append(_confusion(result.confusion, labels, np.flatnonzero(used)))
  return shown


def _name(name):
  # As it is: rich would take what stands in brackets for a style.
  return text.Text(errors.printable(name))


def _precisions(result):
  rows = table.Table(title='average precision of candidates, by temporal IoU')
  rows.add_column('label')
  for level in metrics.LEVELS:
    rows.add_column(f'{level}', justify='right')
  for label, by_level in result.average_precision.items():
    rows.add_row(_name(label), *(f'{x:.1%}' for x in by_level.values()))
  rows.add_section()
  means = map(result.mean_average_precision, metrics.LEVELS)
  rows.add_row('mean', *(f'{mean:.1%}' for mean in means))
  return rows


def _overall(result):
  rows = table.Table(title=f'events, at a temporal IoU of {metrics.LEAST}')
  for name in ('', 'value'):
    rows.add_column(name, justify='right' if name else 'left')
  median, high = delay(result)
  for name, value in (
    ('true events', f'{result.num_true}'),
    ('found events', f'{result.num_found}'),
    ('precision', f'{result.precision:.1%}'),
    ('recall', f'{result.recall:.1%}'),
    ('F1', f'{result.f1:.1%}'),
    ('false alarms per hour', f'{result.false_alarms_per_hour:.2f}'),
    ('delay to the decision, median', f'{median:.2f} s'),
    ('delay to the decision, 90 % quantile', f'{high:.2f} s'),
    ('recordings', f'{result.hours * 60:.1f} min'),
  ):
    rows.add_row(name, value)
  return rows


def _confusion(counts, labels, used):
  names = [*labels, _NOTHING]
  rows = table.Table(title='true events in rows, found ones in columns')
  rows.add_column('')
  used = [*(i for i in used.tolist() if i < len(labels)), len(labels)]
  for column in used:
    rows.add_column(_name(names[column]), justify='right')
  for row in used:
    cells = [
      '' if row == column == len(labels) else str(counts[row, column])
      for column in used
    ]
    rows.add_row(_name(names[row]), *cells)
  return rows


def trade_off(points):
  """The table of rich of `tune.trade_off`."""
  rows = table.Table(title='what stricter and laxer rules would give')
  for name in ('stricter', 'missed', 'false alarms per hour'):
    rows.add_column(name, justify='right')
  for point in points:
    rows.add_row(
      f'{point["stricter"]:+.1f}' if point['stricter'] else 'the rule',
      f'{point["misses"]:.1%}',
      f'{point["false_alarms_per_hour"]:.2f}',
    )
  return rows
