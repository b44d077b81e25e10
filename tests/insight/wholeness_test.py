"""`--mode=check`: what it says of a workdir."""

import os
import shutil

import pytest

from support import checkpointed, commands
from tsm_jax.runs import hashes


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  return checkpointed.save(tmp_path_factory.mktemp('saved'), best=[(20, 0.5)])


def check(workdir):
  done = commands.call('main', '--mode=check', f'--workdir={workdir}')
  lines = done.stdout.replace(f'{workdir}/', '').splitlines()
  return done.returncode, lines, done.stderr


def test_a_workdir_is_checked_without_its_data(saved, tmp_path):
  status, lines, _ = check(saved)
  assert lines == [
    'checkpoints/10: whole (a run continues from it)',
    'checkpoints/20: whole (a run continues from it)',
    'best/20: whole (a model of highest top-1)',
  ]
  assert status == 0

  workdir = shutil.copytree(saved, tmp_path / 'run')
  path = max(
    (workdir / 'checkpoints/10/train').rglob('*'),
    key=lambda p: p.stat().st_size,
  )
  os.truncate(path, 7)
  (workdir / 'best/20/data/metadata').unlink()
  (workdir / 'checkpoints/20' / hashes.FILE).unlink()
  (workdir / 'checkpoints/30.damaged').mkdir()
  (workdir / 'checkpoints/40.orbax-checkpoint-tmp').mkdir()
  (workdir / 'config.json').write_text('')
  status, lines, _ = check(workdir)
  assert lines == [
    'checkpoints/10: damaged: '
    f'{path.relative_to(workdir / "checkpoints/10")} is not what was saved',
    'checkpoints/20: whole (a run continues from it; saved without hashes, so '
    'that a changed number cannot be found)',
    'checkpoints/30.damaged: not used: a damaged step that a run has set aside',
    'checkpoints/40.orbax-checkpoint-tmp: not used: a save that was killed; '
    'the next start removes it',
    'best/20: damaged: data/metadata is missing',
    'config.json: damaged: it is no JSON (it is empty).',
  ]
  assert status == 1


def test_a_workdir_without_checkpoints_is_no_workdir(tmp_path):
  status, _, error = check(tmp_path)
  assert status == 2 and 'holds no checkpoint' in error
  done = commands.call('main', '--mode=check')
  assert done.returncode == 2 and '--config is missing' in done.stderr
