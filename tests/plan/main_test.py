import os
import subprocess
import sys

import pytest

from support import helpers, planning
from tsm_jax import configuration
from tsm_jax.plan import __main__ as plan
from tsm_jax.plan import columns


@pytest.fixture
def here(monkeypatch):
  """This process, as one in which libtpu is not installed."""
  monkeypatch.chdir(helpers.ROOT)
  monkeypatch.setitem(sys.modules, 'libtpu', None)


def test_explain_needs_no_compiler(here, capsys):
  plan.main(
    planning.command_line('--explain', '--topology=v5e:2x2', batch_size=128)
  )
  lines = capsys.readouterr().out.splitlines()
  for line in (
    'batch_size = 128',
    'model.width = 64',
    'eval.batch_size = 128',  # follows the batch
    'learning_rate = 0.02',
    '168913 training clips of 174 classes',
    'batch per chip: 32 clips',
    f'steps: {round(50 * 168913 / 128)}',
  ):
    assert line in lines


@pytest.mark.parametrize(
  'arguments, parts',
  [
    (['--topology=v5e:3x3'], ['v5e:3x3', 'v4:2x2x1', 'v6e:1x1', 'h100']),
    ([], ['--topology is missing', 'v5e:1x1']),
    (['--topology=v5e:2x2'], ['v5e:2x2', 'libtpu', "'.[plan]'"]),
    (
      ['--explain', '--topology=v5e:2x4', '--config.batch_size=12'],
      ['batch_size is 12', '8 devices', 'for example 8'],
    ),
    (['--explain', '--compare=model.dpeth=34'], ['model.depth']),
    (['--explain', '--compare=model.depth=deep'], ['model.depth', 'int']),
    (['--explain', '--dataset=mine'], ["'mine'", '--num_clips', 'kinetics400']),
    (['--nosuch=1'], ['no flag --nosuch']),
    (['--topology=h100', '--utilisation=0.5,2'], ["'0.5,2'", 'at most 1']),
    (['--topology=h100', '--frames_per_cpu=0'], ['--frames_per_cpu is 0.0']),
  ],
)
def test_bad_input_is_a_sentence(arguments, parts, here, capsys):
  with pytest.raises(SystemExit) as caught:
    plan.main(planning.command_line(*arguments))
  assert caught.value.code == 2
  written = capsys.readouterr()
  assert written.out == ''
  (line,) = written.err.splitlines()
  assert line.startswith('error: ')
  for part in parts:
    assert part in line


def test_columns_keep_what_follows_from_the_batch():
  both, sizes = 'batch_size=256,model.remat=block', 'model.stage_sizes=(1,2)'
  config, changed, third = columns.configurations(
    configuration.load('ssv2'), [both, sizes]
  ).values()
  assert changed.learning_rate == 4 * config.learning_rate
  assert changed.model.remat == 'block'
  assert third.model.stage_sizes == (1, 2)
  assert config.batch_size == 64


def test_help_names_the_flags(capsys):
  with pytest.raises(SystemExit) as caught:
    plan.main(['--help'])
  assert not caught.value.code
  text = capsys.readouterr().out
  assert 'What a run would need' in text
  for name in ('config', 'compare', 'topology', 'explain', 'num_clips'):
    assert f'--{name}' in text


def test_the_environment_is_left_to_other_programs():
  code = (
    'import os, sys; before = dict(os.environ); import tsm_jax.plan.__main__;'
    'print(os.environ == before, "jax" in sys.modules)'
  )
  environment = {
    k: v for k, v in os.environ.items() if not k.startswith(('TPU', 'JAX'))
  }
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
    env=environment,
  )
  assert done.stdout.split() == ['True', 'False'], done.stderr
