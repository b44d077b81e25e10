"""How cost grows: slopes of known powers, and what a program must need."""

import json
import math
import types

import jax
import pytest

from support import commands, helpers
from tsm_jax import configuration, models
from tsm_jax.bench import __main__ as bench
from tsm_jax.bench.scaling import axes, shared_input, tables
from tsm_jax.data.input import preprocess

CONFIG = (
  *commands.TINY,
  '--config.batch_size=2',
  '--steps=1',
  '--repeats=2',
)
WITHOUT = {f'--{name}': () for name in (*axes.FIELDS, 'devices', 'processes')}


@pytest.fixture
def run(monkeypatch, capsys):
  """Runs the command with some of its tables; what it printed."""
  monkeypatch.chdir(helpers.ROOT)
  # Its processes compile as fast as this one does.
  monkeypatch.setenv('XLA_FLAGS', commands.FAST_XLA)
  monkeypatch.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', 'true')

  def run(*options, **measured):
    wanted = WITHOUT | {f'--{name}': v for name, v in measured.items()}
    flags = [str(x) for name, v in wanted.items() for x in (name, *v)]
    bench.main(['scale', *CONFIG, *flags, *options])
    return capsys.readouterr().out

  return run


def num_bytes():
  """Of the parameters of the configured network, in float32."""
  config = configuration.load('quickstart', data={'image_size': 32})
  config.model.update(stage_sizes=(1,), width=8, num_frames=4, num_classes=8)
  shape = preprocess.Preprocessing.from_config(config).clip_shape()
  params = models.shapes(models.create_model(config.model), shape)['params']
  return 4 * sum(math.prod(x.shape) for x in jax.tree.leaves(params))


def test_slopes_of_powers():
  values = [4, 8, 16, 64]
  for power in (2, 1, 0.5, 0, -1):
    measured = [3 * value**power for value in values]
    assert axes.slope(values, measured) == pytest.approx(power)
  # The line through (0, 0), (1, 1), (2, 4) in powers of two: 12 / 6 = 2.
  assert axes.slope([1, 2, 4], [1, 2, 16]) == pytest.approx(2)
  assert axes.slope([4], [1]) is axes.slope([4, 8], [0, 1]) is None


def test_twice_the_frames_are_twice_the_arithmetic(run):
  found = json.loads(run('--json', num_frames=(2, 4, 8), batch_size=(1, 2)))
  assert sorted(found) == ['batch_size', 'measured', 'num_frames']
  for axis, values in (('num_frames', [2, 4, 8]), ('batch_size', [1, 2])):
    rows, slopes = found[axis]['rows'], found[axis]['slopes']
    assert [row[axis] for row in rows] == values
    assert slopes['flops'] == pytest.approx(1, abs=0.05)
    assert 0 < slopes['temporaries'] < 1.2
    for row in rows:
      low, high = row['quartiles']
      assert 0 < low <= row['processor_time'] <= high and row['time'] > 0
  # The same step, compiled twice.
  first, second = found['num_frames']['rows'][1], found['batch_size']['rows'][1]
  assert all(first[name] == second[name] for name in axes.FACTS)


def test_each_of_several_devices_computes_the_same(run):
  found = json.loads(run('--json', devices=(1, 2, 4)))['devices']
  assert [row['devices'] for row in found] == [1, 2, 4]
  assert (found[0]['collectives'], found[0]['sent']) == (0, 0)
  gradient = num_bytes()
  for row in found[1:]:
    assert row['flops'] == pytest.approx(found[0]['flops'], rel=0.01)
    # Along a ring: 2 (n - 1) / n of the gradient, and of a few statistics.
    count = row['devices']
    least = 2 * gradient * (count - 1) / count
    assert least <= row['sent'] < 1.1 * least
    assert row['collectives'] == found[1]['collectives'] > 0


def test_processes_share_a_batch(run):
  options = '--videos=1', '--clips=8', '--repeats=1'
  text = run(*options, processes=(1, 2))
  head, _, *rows = [line for line in text.splitlines() if line.startswith('|')]
  assert head.startswith('| processes | processor ms per clip | x the first |')
  assert [row.split(' | ')[0] for row in rows] == ['| 1', '| 2']
  assert rows[0].split(' | ')[2] == '1.00'


def test_each_process_reads_other_clips(tmp_path):
  path = shared_input.build(tmp_path, types.SimpleNamespace(videos=3))

  def seen(*process):
    batch = next(shared_input.training(path, process))
    return [frames.tobytes() for frames in batch['frames']]

  first, second = seen(0, 2), seen(1, 2)
  assert not set(first) & set(second) and len(first) == len(second) == 8
  assert len(seen(0, 1)) == 8  # whatever their number, each has as many
  assert [shared_input.whole(clips) for clips in (1, 8, 12)] == [8, 8, 16]


def test_what_processes_took_together():
  # Two read 10 clips each, in 2 and 4 seconds of time, 1 and 2 of processors.
  assert shared_input.together([(2.0, 1.0), (4.0, 2.0)], 10) == {
    'processor_time': pytest.approx(3 / 20),
    'clips_per_s': pytest.approx(20 / 4),
  }


def test_depths_are_those_of_whole_networks():
  config = configuration.load('quickstart')
  assert config.model.stage_sizes
  deep = axes.vary(config, 'depth', 50)
  assert (deep.model.depth, deep.model.stage_sizes) == (50, ())
  large = axes.vary(config, 'batch_size', 2 * config.batch_size)
  assert large.model.stage_sizes == config.model.stage_sizes
  assert large.learning_rate == 2 * config.learning_rate
  assert (config.model.depth, config.batch_size) == (18, 32)


def test_tables():
  row = dict(zip(axes.CLOCKS + axes.FACTS, (0.002, 0.004, 3e9, 5e6, 7e9)))
  slopes = dict.fromkeys(row, 1.0) | {'temporaries': None}
  found = {'rows': [{'num_frames': 4, **row}], 'slopes': slopes}
  assert tables.of_axis('num_frames', found).splitlines() == [
    '| `model.num_frames` | ms | processor ms | GFLOP | MB moved '
    '| MB of temporaries |',
    '| --- | --- | --- | --- | --- | --- |',
    '| 4 | 2 | 4 | 3 | 5 | 7000 |',
    '| slope | 1.00 | 1.00 | 1.00 | 1.00 |  |',
  ]
  rows = [
    {'devices': 1, **row, 'collectives': 0, 'sent': 0},
    {'devices': 2, **row, 'flops': 3.3e9, 'collectives': 2, 'sent': 4e6},
  ]
  assert tables.of_devices(rows).splitlines()[-1] == (
    '| 2 | 3.3 | 5 | 7000 | 1.1000 | 2 | 4.000 |'
  )


@pytest.mark.parametrize(
  'options, message',
  [
    (['--num_frames', '0'], '--num_frames is 0; it must be at least 1.'),
    (['--config.model.widht=8'], "did you mean 'model.width'?"),
  ],
)
def test_mistakes_are_sentences(monkeypatch, capsys, options, message):
  monkeypatch.chdir(helpers.ROOT)
  with pytest.raises(SystemExit) as end:
    bench.main(['scale', *CONFIG, *options])
  assert end.value.code == 2
  assert message in capsys.readouterr().err
