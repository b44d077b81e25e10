"""Numbers of events as JSON, tables and pictures, whatever they are."""

import io
import json

from rich import console

from tsm_jax.stream.events import metrics, rules
from tsm_jax.stream.output import numbers, trade_off

LABELS = ['idle', '[red]wave[/]']


def shown(result):
  terminal = console.Console(width=200, record=True, file=io.StringIO())
  for table in numbers.tables(result, LABELS):
    terminal.print(table)
  return terminal.export_text()


def evaluated(events, truths):
  return metrics.evaluate([events], [events], [truths], LABELS, [1800])


def test_all_numbers_are_shown():
  event = rules.Event(10.0, 12.0, LABELS[1], 0.75, 10.5)
  later = event._replace(start=50.0, end=51.0)
  result = evaluated([event, later], [(10, 12, LABELS[1])])
  found = json.loads(json.dumps(numbers.as_dict(result, LABELS)))
  assert found['mean_average_precision']['0.5'] == 1
  assert found['false_alarms_per_hour'] == 2
  assert found['delay'] == {'median': 0.5, 'high': 0.5}
  assert found['confusion'] == [
    {'true': LABELS[1], 'found': LABELS[1], 'count': 1},
    {'true': '', 'found': LABELS[1], 'count': 1},
  ]
  text = shown(result)
  assert text.count('[red]wave[/]') == 3  # no style
  for part in ('100.0%', '50.0%', '2.00', '0.50 s', '30.0 min', '(nothing)'):
    assert part in text


def test_what_is_not_defined_is_none():
  result = evaluated([], [])
  found = numbers.as_dict(result, LABELS)
  assert json.dumps(found, allow_nan=False)
  assert found['recall'] is None
  assert found['delay'] == {'median': None, 'high': None}
  assert 'nan' in shown(result)


def test_the_trade_off_is_drawn(tmp_path):
  points = [
    {'stricter': x, 'misses': 0.5 + x / 4, 'false_alarms_per_hour': 3 - 3 * x}
    for x in (-1, 0, 1)
  ]
  trade_off.draw(points, 6.0, tmp_path / 'a.png')
  assert (tmp_path / 'a.png').read_bytes().startswith(b'\x89PNG')
