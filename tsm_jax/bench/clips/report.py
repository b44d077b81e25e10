"""What was measured or compiled of the ways to write the shift, as a table."""

import numpy as np

from tsm_jax.bench import markdown
from tsm_jax.plan import moves

PLAIN = 'no shift'
QUARTILES = (0.5, 0.25, 0.75)  # in the order in which they are shown
SHARE = f'x {PLAIN}'
FACTS = ('network', 'mode', 'dtype')


def measured(seconds):
  """Rows of what was measured.

  Args:
    seconds: of a step, `[turns, 2]` by title: time, processor time.

  Returns:
    A list of dicts: way, the title; ms, processor_ms, the median and the
    quartiles of the turns; times, those of the ratio of time to that of
    `PLAIN` in the same turn, and processor_times; both are None without it.
  """
  plain = seconds.get(PLAIN)
  return [
    {
      'way': title,
      'ms': _quartiles(1e3 * values[:, 0]),
      'processor_ms': _quartiles(1e3 * values[:, 1]),
      'times': _ratio(values, plain, 0),
      'processor_times': _ratio(values, plain, 1),
    }
    for title, values in seconds.items()
  ]


def _quartiles(values):
  return np.quantile(values, QUARTILES).tolist()


def _ratio(values, others, clock):
  if others is None:
    return None
  return _quartiles(values[:, clock] / others[:, clock])


def compiled(records):
  """Rows of what was compiled.

  Args:
    records: of `plan.compilation`, by title.

  Returns:
    A list of dicts: way, the title; bytes that a chip reads and writes by XLA's
    count; times, the ratio to `PLAIN`; large_memory and large_memory_times, the
    same of a TPU's large memory, None of a GPU; temporaries, bytes;
    `plan.moves.together`; and out_of_memory, a sentence of the compiler, or
    None. Without memory for a program, its numbers are None.
  """
  rows = []
  for title, record in records.items():
    plain, why = records.get(PLAIN), record['out_of_memory']
    compared = None if why or not plain else plain
    rows.append(
      {
        'way': title,
        **_traffic(record, compared, 'bytes', 'times'),
        **_traffic(record, compared, 'large_memory', 'large_memory_times'),
        'temporaries': None if why else record['memory']['temporaries'],
        'moves': None if why else moves.together(record['moves']),
        'out_of_memory': why,
      }
    )
  return rows


def _traffic(record, plain, name, share):
  # XLA counts no bytes of what does not fit.
  found, other = record[name] or None, plain and plain[name]
  return {name: found, share: found / other if found and other else None}


def table(rows):
  """Rows of either kind as a table of Markdown; the way of 'auto' is marked."""
  compiled = rows and 'bytes' in rows[0]
  head, cells = (
    (_COMPILED, _compiled_cells) if compiled else (_MEASURED, _measured_cells)
  )
  lines = []
  for row in rows:
    way = f'{row["way"]} (auto)' if row['auto'] else row['way']
    lines.append([*(row[name] for name in FACTS), way, *cells(row)])
  return markdown.table([*FACTS, 'way', *head], lines)


_MEASURED = ('ms', 'quartiles', SHARE, 'quartiles')
_MEASURED += ('processor ms', f'processor, {SHARE}', 'quartiles')
_COMPILED = ('GB read and written', SHARE, 'of the large memory', SHARE)
_COMPILED += (*moves.KINDS, 'temporaries, GB')


def _measured_cells(row):
  ms, *around = row['ms']
  return [
    f'{ms:.1f}',
    ', '.join(f'{value:.1f}' for value in around),
    *_share_cells(row['times']),
    f'{row["processor_ms"][0]:.1f}',
    *_share_cells(row['processor_times']),
  ]


def _share_cells(times):
  if times is None:
    return '', ''
  share, *around = times
  return f'{share:.3f}', ', '.join(f'{value:.3f}' for value in around)


def _compiled_cells(row):
  if row['out_of_memory']:
    return [row['out_of_memory'], *[''] * (len(_COMPILED) - 1)]
  found = [row['moves'][kind] for kind in moves.KINDS]
  return [
    *_traffic_cells(row['bytes'], row['times']),
    *_traffic_cells(row['large_memory'], row['large_memory_times']),
    *(f'{m["count"]}, {m["bytes"] / 1e9:.4g} GB' for m in found),
    f'{row["temporaries"] / 1e9:.4g}',
  ]


def _traffic_cells(num_bytes, times):
  return (
    '' if num_bytes is None else f'{num_bytes / 1e9:.4g}',
    '' if times is None else f'{times:.3f}',
  )
