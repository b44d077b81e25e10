"""What was measured of contenders: rows of a table, and who is how much faster.

A ratio is that of the same turn, so that a busy moment counts for both.
"""

import numpy as np

from tsm_jax.bench.rivals import contenders

QUARTILES = (0.5, 0.25, 0.75)  # in the order in which they are shown
HEAD = ('network', 'threads', 'contender', 'p50 ms', 'quartiles', 'p99 ms')
HEAD += ('processor ms', 'x JAX')


def rows(times):
  """The rows of a table, as dicts.

  Args:
    times: milliseconds `[turns, frames, 2]` by title.

  Returns:
    For each: contender; p50 and p99 of all frames; quartiles, the first and
    third of the medians of turns; processor, the median; share, the median
    of the ratios to JAX in the same turn, or None.
  """
  first = times.get('JAX')
  return [
    {
      'contender': title,
      'p50': float(np.median(values[..., 0])),
      'p99': float(np.quantile(values[..., 0], 0.99)),
      'quartiles': np.quantile(_medians(values), (0.25, 0.75)).tolist(),
      'processor': float(np.median(values[..., 1])),
      'share': None if first is None else _ratio(values, first)[0],
    }
    for title, values in times.items()
  ]


def ratios(times):
  """Who is how much faster: of the fastest of each kind.

  Args:
    times: as in `rows`.

  Returns:
    A list of dicts: slower and faster, two titles, and times, the quartiles of
    the ratio of their times in the same turn.
  """

  def fastest(condition):
    chosen = {
      t: np.median(_medians(v)) for t, v in times.items() if condition(t)
    }
    return min(chosen, key=chosen.get, default=None)

  exported = 'float32', 'float16'
  pytorch = fastest(contenders.PYTORCH.__contains__)
  floats = fastest(lambda title: title.endswith(exported))
  int8 = fastest(lambda title: title.endswith('int8'))
  onnx = fastest(lambda title: title.endswith('onnx, float32'))
  pairs = (pytorch, floats), (floats, int8), (onnx, 'JAX'), (pytorch, 'JAX')
  return [
    {
      'slower': slower,
      'faster': faster,
      'times': _ratio(times[slower], times[faster]),
    }
    for slower, faster in pairs
    if slower in times and faster in times
  ]


def _medians(values):
  return np.median(values[..., 0], axis=1)


def _ratio(values, others):
  ratios = _medians(values) / _medians(others)
  return np.quantile(ratios, QUARTILES).tolist()


def table(summaries):
  """The rows as a table of Markdown."""
  lines = [HEAD, ['---'] * len(HEAD)]
  for row in summaries:
    low, high = row['quartiles']
    share = '' if row['share'] is None else f'{row["share"]:.2f}'
    lines.append(
      (
        row['network'],
        str(row['threads']),
        row['contender'],
        f'{row["p50"]:.2f}',
        f'{low:.2f}, {high:.2f}',
        f'{row["p99"]:.2f}',
        f'{row["processor"]:.2f}',
        share,
      )
    )
  return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def sentences(found):
  """The ratios in words."""
  lines = []
  for ratio in found:
    middle, low, high = ratio['times']
    threads = f'{ratio["threads"]} thread{"s"[: ratio["threads"] - 1]}'
    lines.append(
      f'{ratio["network"]}, {threads}: {ratio["faster"]} is {middle:.2f} times '
      f'as fast as {ratio["slower"]} (quartiles {low:.2f}, {high:.2f}).'
    )
  return '\n'.join(lines)
