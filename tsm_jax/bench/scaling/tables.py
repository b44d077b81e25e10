"""What was measured, as Markdown."""

from tsm_jax.bench import markdown
from tsm_jax.bench.scaling import axes

_UNITS = {  # of the columns, by what they show, and its size
  'time': ('ms', 1e-3),
  'processor_time': ('processor ms', 1e-3),
  'flops': ('GFLOP', 1e9),
  'bytes': ('MB moved', 1e6),
  'temporaries': ('MB of temporaries', 1e6),
}


def of_axis(axis, found):
  """The table of one field, with the slopes in its last row.

  Args:
    axis: a name of `axes.FIELDS`.
    found: `rows` and `slopes`, from `axes.measure` and `axes.slopes`.
  """
  names = axes.CLOCKS + axes.FACTS
  head = [f'`{axes.FIELDS[axis]}`', *(_UNITS[name][0] for name in names)]
  lines = [
    [str(row[axis]), *(_shown(name, row[name]) for name in names)]
    for row in found['rows']
  ]
  exponents = [found['slopes'][name] for name in names]
  last = ['' if p is None else f'{p:.2f}' for p in exponents]
  return markdown.table(head, [*lines, ['slope', *last]])


def of_devices(rows):
  """The table of `devices.measure`: each device's, and in shares of one's."""
  first = rows[0]['flops']
  head = ['devices', *(_UNITS[name][0] for name in axes.FACTS)]
  head += ['x the first, FLOP', 'collectives', 'MB sent']
  return markdown.table(
    head,
    [
      [
        str(row['devices']),
        *(_shown(name, row[name]) for name in axes.FACTS),
        f'{row["flops"] / first:.4f}',
        str(row['collectives']),
        f'{row["sent"] / 1e6:.3f}',
      ]
      for row in rows
    ],
  )


def of_processes(rows):
  """The table of `processes.measure`."""
  first = rows[0]['processor_time']
  return markdown.table(
    ['processes', 'processor ms per clip', 'x the first', 'clips/s together'],
    [
      [
        str(row['processes']),
        f'{1e3 * row["processor_time"]:.2f}',
        f'{row["processor_time"] / first:.2f}',
        f'{row["clips_per_s"]:.0f}',
      ]
      for row in rows
    ],
  )


def _shown(name, value):
  number = value / _UNITS[name][1]
  return f'{number:.0f}' if number >= 100 else f'{number:.3g}'
