import numpy as np

from tsm_jax.bench.clips import report

SECONDS = {
  'no shift': np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]]),
  'select': np.array([[2.0, 3.0], [3.0, 6.0], [8.0, 12.0]]),
}
FACTS = {'network': 'net', 'mode': 'training', 'dtype': 'float32'}


def cells(line):
  return [cell.strip() for cell in line.strip('|').split('|')]


def test_a_ratio_is_of_the_same_turn():
  plain, select = report.measured(SECONDS)
  assert plain['times'] == plain['processor_times'] == [1.0, 1.0, 1.0]
  assert plain['ms'] == [2000.0, 1500.0, 3000.0]
  # 2 / 1, 3 / 2 and 8 / 4; of the processor each 1.5.
  assert select['times'] == [2.0, 1.75, 2.0]
  assert select['processor_times'] == [1.5, 1.5, 1.5]
  assert select['processor_ms'] == [6000.0, 4500.0, 9000.0]


def test_without_the_network_without_the_shift_there_is_no_ratio():
  (row,) = report.measured({'select': SECONDS['select']})
  assert row['times'] is row['processor_times'] is None
  *_, line = report.table([{**FACTS, 'auto': False, **row}]).splitlines()
  assert (
    cells(line)[4:] == ['3000.0', '2500.0, 5500.0', '', '', '6000.0'] + [''] * 2
  )


def test_the_table_of_what_was_measured():
  rows = [
    {**FACTS, 'auto': row['way'] == 'select', **row}
    for row in report.measured(SECONDS)
  ]
  head, rule, _, line = map(cells, report.table(rows).splitlines())
  assert len(head) == len(rule) == len(line)
  assert line == [
    *('net', 'training', 'float32', 'select (auto)'),
    *('3000.0', '2500.0, 5500.0', '2.000', '1.750, 2.000'),
    *('6000.0', '1.500', '1.500, 1.500'),
  ]


def test_the_table_of_what_was_compiled():
  record = {
    'out_of_memory': None,
    'bytes': 2e9,
    'large_memory': 1e9,
    'memory': {'temporaries': 3e8},
    'moves': [('copies', 4e6, False), ('copies', 1e6, False)],
  }
  lacking = {'out_of_memory': 'Too large.', 'bytes': 0, 'memory': None}
  lacking['large_memory'] = None
  pad = {'bytes': 3e9, 'large_memory': 1.25e9, 'moves': []}
  found = report.compiled(
    {
      'no shift': record,
      'pad': {**record, **pad},
      'select': {**record, 'large_memory': None},
      'roll': {**lacking, 'moves': []},
    }
  )
  assert [row['times'] for row in found] == [1.0, 1.5, 1.0, None]
  large = [row['large_memory_times'] for row in found]
  assert large == [1.0, 1.25, None, None]
  rows = [{**FACTS, 'auto': False, **row} for row in found]
  head, _, plain, pad, gpu, roll = map(cells, report.table(rows).splitlines())
  assert len(head) == len(plain) == len(roll)
  nothing = '0, 0 GB'
  assert plain[4:8] == ['2', '1.000', '1', '1.000']
  assert plain[8:] == ['2, 0.005 GB', *[nothing] * 2, '0.3']
  assert pad[4:] == ['3', '1.500', '1.25', '1.250', *[nothing] * 3, '0.3']
  assert gpu[4:8] == ['2', '1.000', '', '']
  assert roll[3:5] == ['roll', 'Too large.'] and not any(roll[5:])
