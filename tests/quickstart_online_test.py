"""The online quickstart, and what it promises."""

import json

import pytest

from support import commands
from tsm_jax.data.sources.drawn import long_motion

# Fewer recordings than the quickstart streams, and fewer epochs of TSN, which
# learns nothing in more of them, either.
SCENES = {**long_motion.SCENES, 'val': 12, 'test': 20}

SHORT = ('--config.epochs=0.5', '--config.schedule.warmup_epochs=0')


@pytest.fixture(scope='module')
def drawn(data_dir):
  name = f'long_motion_videos_{long_motion.VERSION}'
  long_motion.make(data_dir / name, SCENES)
  return data_dir


def run(*args):
  done = commands.run(commands.command(*args), fast=False)  # as users run it
  assert done.returncode == 0, done.stderr
  return done.stdout


def train(drawn, workdir, config, *more):
  return run(
    'main',
    f'--config=configs/{config}',
    f'--workdir={workdir}',
    f'--config.data.data_dir={drawn}',
    *more,
  )


def evaluate(workdir, *more):
  shown = run('stream', 'eval', workdir, '--split=test', '--json', *more)
  return json.loads(shown)


def precision(found):
  return found['mean_average_precision']['0.5']


@pytest.mark.slow
def test_tsm_knows_what_happens_when_and_tsn_does_not(drawn, tmp_path):
  tsm, tsn = tmp_path / 'tsm', tmp_path / 'tsn'
  printed = train(drawn, tsm, 'quickstart_online.py')
  assert f'Training on {long_motion.NUM_TRAIN} clips' in printed
  assert f'python -m tsm_jax.stream tune {tsm}' in printed
  run('stream', 'tune', tsm, '--false_alarms_per_hour=2')
  found = evaluate(tsm)
  assert found['num_true'] > 200
  assert precision(found) >= 0.9
  # So few recordings last 26 minutes: three alarms, where 2 an hour are meant.
  # Two JAX round differently, and so learn differently: one has three.
  assert found['false_alarms_per_hour'] <= 9
  train(drawn, tsn, 'quickstart_online.py:shift=none', *SHORT)
  by_the_same_rule = evaluate(tsn, f'--rule={tsm / "stream.json"}')
  assert precision(by_the_same_rule) <= precision(found) / 2
