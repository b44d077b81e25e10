"""The README's first commands, and what they promise."""

import jax
import pytest

from configs import quickstart
from support import commands, nets
from tsm_jax import models
from tsm_jax.program import metrics


def command(config, data_dir, workdir, *more):
  return commands.command(
    'main',
    f'--config=configs/{config}',
    f'--workdir={workdir}',
    f'--config.data.data_dir={data_dir}',
    *more,
  )


def top1(workdir):
  """Of each evaluation, in their order."""
  found = [record.get('eval/top1') for record in metrics.read(workdir)]
  return [value for value in found if value is not None]


@pytest.mark.slow
def test_tsm_sees_the_direction_of_time(data_dir, tmp_path):
  done = commands.run(
    command('quickstart.py', data_dir, tmp_path),
    fast=False,  # as users run it
  )
  assert done.returncode == 0, done.stderr
  found = top1(tmp_path)
  assert found[-1] >= 0.95
  assert found[0] < 0.5  # it has learned it
  assert 'the report is' in done.stdout


@pytest.mark.slow
def test_tsn_trains_and_is_at_chance(data_dir, tmp_path):
  # Little of what teaches it nothing: the test below says why.
  done = commands.run(
    command(
      'quickstart.py:shift=none',
      data_dir,
      tmp_path,
      '--config.epochs=0.5',
      '--config.schedule.warmup_epochs=0',
    ),
    fast=False,
  )
  assert done.returncode == 0, done.stderr
  assert top1(tmp_path)[-1] <= 0.55
  assert 'the report is' in done.stdout


@pytest.mark.parametrize('arg, sees_it', [('shift=none', False), ('', True)])
def test_only_tsm_can_tell_a_clip_from_the_same_backwards(arg, sees_it):
  """So TSN, which gives both of a pair one answer, cannot pass a half."""
  config = quickstart.get_config(arg)
  model = models.create_model(
    {**config.model, 'stage_sizes': (1,), 'num_classes': 8}
  )
  clip = nets.clips(1, 8, 16, 16, 3)
  variables = nets.tiny_variables(model, clip)
  apply = jax.jit(model.apply)
  forwards, backwards = (apply(variables, x) for x in (clip, clip[:, ::-1]))
  apart = abs(forwards - backwards).max() / abs(forwards).max()
  assert apart > 0.01 if sees_it else apart < 1e-4
