from concurrent import futures
import json
import os

import pytest

from support import commands, helpers, planning
from tsm_jax import configuration
from tsm_jax.bench import __main__ as bench
from tsm_jax.bench import processes
from tsm_jax.bench.clips import contenders, contests, report

CONFIG = (
  '--config=configs/quickstart.py',
  '--config.model.stage_sizes=(1,)',
  '--config.model.width=8',
  '--size=32',
  '--frames=4',
)
SHORT = ('--repeats=2', '--steps=2')


@pytest.fixture
def run(monkeypatch, capsys):
  """Runs the command; what it printed, or its mistake."""
  monkeypatch.chdir(helpers.ROOT)

  def run(*options):
    try:
      bench.main(['shift', *options])
    except SystemExit as end:
      assert end.code == 2
      return capsys.readouterr().err
    return capsys.readouterr().out

  return run


def test_every_contender_runs_in_a_process_of_its_own(run, monkeypatch):
  # One device, as PyTorch has; the processes compile fast, as this one does.
  fast = {
    'XLA_FLAGS': commands.FAST_XLA,
    'JAX_DISABLE_MOST_OPTIMIZATIONS': 'true',
  }
  before = {**os.environ, **fast}
  for name, value in fast.items():
    monkeypatch.setenv(name, value)
  eager = {'PyTorch, eager': {}}
  monkeypatch.setattr(contenders, 'PYTORCH', eager)
  options = '--modes=training', '--forms=select', '--threads=1', '--json'
  found = json.loads(run(*CONFIG, *SHORT, *options))
  assert os.environ == before
  assert found['left_out'] == {}
  for name in ('jax ', 'torch ', '1 x cpu', '2 turns of 2 steps'):
    assert name in found['measured']
  plain, _, official = found['rows']
  assert [row['way'] for row in found['rows']] == [
    *('no shift', 'select', 'PyTorch, eager'),
  ]
  assert plain['times'] == plain['processor_times'] == [1, 1, 1]
  for row in found['rows']:
    assert (row['network'], row['mode']) == ('resnet18', 'training')
    middle, low, high = row['ms']
    assert 0 < low <= middle <= high
    assert row['processor_ms'][0] > 0 and row['times'][0] > 0
  assert not plain['auto'] and not official['auto']


def test_the_page_is_markdown(run, monkeypatch):
  here = futures.ThreadPoolExecutor(1)  # no process, which takes seconds
  monkeypatch.setattr(processes, 'start', lambda *_: here)
  monkeypatch.setattr(futures.ThreadPoolExecutor, '__exit__', lambda *_: None)
  options = '--modes=inference', '--forms', 'roll', 'fused'
  shown, _, *lines = run(*CONFIG, *SHORT, *options).splitlines()
  assert shown.startswith('tsm_jax ') and 'cores' in shown
  table = [line for line in lines if line.startswith('|')]
  assert len({line.count('|') for line in table}) == 1
  ways = [line.split('|')[4].strip() for line in table[2:]]
  assert ways == ['no shift', 'roll']  # 'fused' is for TPUs
  assert lines[-1].startswith('Left out: PyTorch, resnet18, inference, float32')
  assert 'it takes one device here' in lines[-1]


def test_every_way_is_compared_and_auto_is_one_of_them():
  config = configuration.load('jester').copy_and_resolve_references()
  config.model.num_classes = 2
  for platform in ('cpu', 'gpu', 'tpu'):
    for mode in contests.MODES:
      found, auto = contests.ways(config, mode, platform, contests.FORMS)
      first, *others = found
      assert first == report.PLAIN and found[first].model.shift == 'none'
      assert auto in others and len(others) >= 4
      assert {found[way].model.shift for way in others} == {'blockres'}
      assert [found[way].model.shift_form for way in others] == others
  assert others[-1] == auto == 'fused'  # a TPU trains


@pytest.mark.parametrize(
  'options, message',
  [
    (['--forms', 'slice'], "--forms is 'slice'; choose from"),
    (['--models', 'vgg'], "--models is 'vgg'; choose from"),
    (['--modes', 'train'], "--modes is 'train'; choose from"),
    (['--dtypes', 'int8'], "--dtypes is 'int8'; choose from"),
    (['--topology', 'v9'], "--topology is 'v9'; choose from v4:"),
    ([*CONFIG, '--models', 'resnet'], '--models is resnet, but --config names'),
    ([*CONFIG, '--config.model.shift=none'], "model.shift is 'none', but"),
    (['--config.model.width=8'], '--config is missing'),
  ],
)
def test_mistakes_are_sentences(run, options, message):
  last = run(*options).splitlines()[-1]
  assert last.startswith('error: ')
  assert message in last
  if 'slice' in message:
    assert "'select', 'pad', 'concatenate', 'roll', 'fused'" in last


def test_a_platform_that_is_not_here_is_a_sentence(run, monkeypatch):
  monkeypatch.setenv('JAX_PLATFORMS', 'rocm')
  last = run(*CONFIG).splitlines()[-1]
  assert last.startswith('error: JAX finds no device: ') and 'rocm' in last


@planning.needs_libtpu
def test_for_a_topology_the_compiled_program_counts(run, tmp_path, monkeypatch):
  for name, value in planning.LESS_EFFORT.items():
    monkeypatch.setenv(name, value)
  options = '--modes=training', '--forms=select', '--dtypes=bfloat16'
  target = '--topology=v5e:1x1', f'--cache_dir={tmp_path}'
  found = json.loads(run(*CONFIG, *options, *target, '--json'))
  assert 'libtpu ' in found['measured'] and 'v5e:1x1' in found['measured']
  plain, select = found['rows']
  assert plain['times'] == 1 and select['times'] > 1
  assert select['times'] == select['bytes'] / plain['bytes']
  assert plain['large_memory_times'] == 1 < select['large_memory_times']
  assert plain['temporaries'] > 0
  moved = [
    sum(kind['count'] for kind in row['moves'].values())
    for row in (plain, select)
  ]
  assert moved[0] < moved[1], 'a selection is passes of its own there'
  assert len(list(tmp_path.glob('*.json'))) == 2  # and is remembered
