"""The online quickstart, and what it promises."""

import json

import pytest

from support import commands
from tsm_jax.data.sources.drawn import long_motion

# Fewer videos than the quickstart draws, and fewer epochs of TSN, which learns
# nothing in more of them, either.
SCENES = {'train': 90, 'val': 12, 'test': 20}


@pytest.fixture(scope='module')
def drawn(data_dir):
  name = f'long_motion_videos_{long_motion.VERSION}'
  long_motion.make(data_dir / name, SCENES)
  return data_dir


def run(*args):
  done = commands.run(commands.command(*args), fast=False)  # as users run it
  assert done.returncode == 0, done.stderr
  return done.stdout


def numbers(drawn, workdir, config, *more):
  """Trains, chooses thresholds, and evaluates on the held-out videos."""
  printed = run(
    'main',
    f'--config=configs/{config}',
    f'--workdir={workdir}',
    f'--config.data.data_dir={drawn}',
    *more,
  )
  assert f'python -m tsm_jax.stream tune {workdir}' in printed
  run('stream', 'tune', workdir, '--false_alarms_per_hour=2')
  shown = run('stream', 'eval', workdir, '--split=test', '--json')
  return json.loads(shown)


def precision(found):
  return found['mean_average_precision']['0.5']


@pytest.mark.slow
def test_tsm_knows_what_happens_when_and_tsn_does_not(drawn, tmp_path):
  tsm = numbers(drawn, tmp_path / 'tsm', 'quickstart_online.py')
  assert tsm['num_true'] > 200
  assert precision(tsm) >= 0.9
  assert tsm['false_alarms_per_hour'] <= 6
  tsn = numbers(
    drawn,
    tmp_path / 'tsn',
    'quickstart_online.py:shift=none',
    '--config.epochs=1',
  )
  assert precision(tsn) <= precision(tsm) / 2
