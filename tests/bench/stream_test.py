import json
import re

import numpy as np
import pytest

from support import helpers
from tsm_jax.bench import __main__ as bench
from tsm_jax.bench import stream

CONFIG = (
  '--config=configs/quickstart.py',
  '--config.model.stage_sizes=(1, 1)',
  '--config.model.width=8',
  '--config.data.image_size=32',
  '--cameras=3',
  '--steps=2',
  '--repeats=3',
)


RATIOS = ('shift', 'batch')


def test_the_table_agrees_with_the_ratios(monkeypatch, capsys):
  monkeypatch.chdir(helpers.ROOT)
  bench.main(['stream', *CONFIG])
  text = capsys.readouterr().out
  assert 'quickstart: resnet, 32x32, float32; 3 turns of 2 steps' in text
  table = {}
  for line in text.splitlines():
    title, *cells = [cell.strip() for cell in line.split('│')[1:-1]] or ['']
    if cells:
      table[title] = [float(n) for n in re.findall(r'[\d.]+', ' '.join(cells))]
  assert list(table) == [
    'one camera',
    'one camera, no shift',
    '3 cameras in one batch',
  ]
  for cameras, row in zip((1, 1, 3), table.values(), strict=True):
    ms, low, high, processor, speed = row
    assert low <= ms <= high and processor > 0
    assert speed == pytest.approx(1e3 * cameras / ms, rel=0.05)
  ratios = re.findall(
    r'([\d.]+) of the .*?\(quartiles ([\d.]+), ([\d.]+)', text
  )
  assert len(ratios) == 4
  for ratio in ratios:
    median, low, high = map(float, ratio)
    assert low <= median <= high


def test_ratios_are_of_the_same_turn(monkeypatch, capsys):
  """Turns of 10 ms without the shift, and once of 100 ms, as all others."""
  monkeypatch.chdir(helpers.ROOT)
  cost = {('blockres', 1): 11.0, ('none', 1): 10.0, ('blockres', 3): 16.5}

  def prepare(config, cameras, steps):
    assert (steps, config.model.direction) == (2, 'past')
    turns = iter((9.0, 1.0, 10.0, 1.0))  # the first one warms up
    ms = cost[config.model.shift, cameras]
    return lambda: np.array([next(turns), 2.0]) * ms

  monkeypatch.setattr(stream, 'prepare', prepare)
  bench.main(['stream', *CONFIG, '--json'])
  found = json.loads(capsys.readouterr().out)
  plain = found['ms']['one camera, no shift']
  assert plain == {'time': [10, 100, 10], 'processor time': [20] * 3}
  for ratios in zip(*(found['ratios'][name].values() for name in RATIOS)):
    assert ratios == (
      pytest.approx([1.1] * 3),
      pytest.approx([0.5] * 3),
    )


def test_a_model_that_cannot_stream_is_refused(monkeypatch, capsys):
  monkeypatch.chdir(helpers.ROOT)
  with pytest.raises(SystemExit) as caught:
    bench.main(['stream', *CONFIG, '--config.model.non_local=True'])
  assert caught.value.code == 2
  assert 'error: model.non_local is True' in capsys.readouterr().err
