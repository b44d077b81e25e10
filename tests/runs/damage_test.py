"""Damaged checkpoints are noticed, told, passed over and not in the way."""

import json
import os
import pathlib
import random
import shutil
import subprocess

import jax
import numpy as np
import pytest

from support import checkpointed
from tsm_jax import errors
from tsm_jax.runs import checkpoints, hashes


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A workdir with the steps 10 and 20, which are also its best models."""
  return checkpointed.save(tmp_path_factory.mktemp('saved'))


@pytest.fixture
def workdir(saved, tmp_path):
  return pathlib.Path(shutil.copytree(saved, tmp_path / 'run'))


def largest(folder):
  return max(
    (p for p in folder.rglob('*') if p.is_file()),
    key=lambda p: p.stat().st_size,
  )


def flip(path, bit):
  content = bytearray(path.read_bytes())
  content[bit // 8] ^= 1 << bit % 8
  path.write_bytes(content)


def forget_hashes(workdir):
  for path in workdir.rglob(hashes.FILE):
    path.unlink()


def resume(workdir):
  """What a training does first: the state from which it continues."""
  config, state = checkpointed.shapes()
  kept = checkpoints.Checkpoints(workdir, config.checkpoint)
  found, _ = kept.restore(state, checkpointed.meta(config))
  return kept, found


def test_coreutils_find_the_files_as_they_were_saved(workdir):
  for step in ('checkpoints/10', 'checkpoints/20', 'best/20'):
    done = subprocess.run(
      ['sha256sum', '--check', '--strict', hashes.FILE],
      cwd=workdir / step,
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.partition(': ')[0] for line in done.stdout.splitlines()}
    there = {
      str(p.relative_to(workdir / step))
      for p in (workdir / step).rglob('*')
      if p.is_file()
      and p.name not in ('commit_success.txt', '_CHECKPOINT_METADATA')
    }
    assert listed == there - {hashes.FILE}


def test_every_flipped_bit_is_found(workdir):
  shutil.rmtree(workdir / 'checkpoints/10')  # nothing to fall back to
  step = workdir / 'checkpoints/20'
  rng = random.Random(0)
  weights = largest(step / 'model')
  others = [p for p in step.rglob('*') if p.is_file()]
  others = [p for p in others if p.name != 'commit_success.txt']
  for path in [weights] * 24 + sorted(p for p in others if p.parent != step):
    bit = rng.randrange(8 * path.stat().st_size)
    flip(path, bit)
    with pytest.raises(errors.InputError) as refused:
      if path.is_relative_to(step / 'train'):
        resume(workdir)
      else:
        checkpoints.restore_model(step)
    name = path.relative_to(step)
    assert f'{step} is damaged ({name} is not what was saved)' in str(
      refused.value
    )
    flip(path, bit)
  checkpoints.restore_model(step)


DAMAGES = {
  'lost item': lambda step: shutil.rmtree(step / 'model'),
  'lost file': lambda step: largest(step / 'model').unlink(),
  'cut file': lambda step: os.truncate(largest(step / 'model'), 100),
  'emptied JSON': lambda step: (step / 'data/metadata').write_text(''),
  'lost JSON': lambda step: (step / 'data/metadata').unlink(),
  'changed notes': lambda step: (step / '_CHECKPOINT_METADATA').write_text(
    '[]'
  ),
}


@pytest.mark.parametrize(
  ('kind', 'hashed'),
  [
    *((kind, True) for kind in DAMAGES),
    ('lost file', False),
    ('cut file', False),
  ],
)
def test_the_last_whole_step_is_used_instead(kind, hashed, workdir, capsys):
  if not hashed:  # as earlier versions saved
    forget_hashes(workdir)
  DAMAGES[kind](workdir / 'checkpoints/20')
  trained = checkpoints.restore_model(workdir)
  assert trained.step == 10
  told = capsys.readouterr().err
  assert f'{workdir}/checkpoints/20 is damaged (' in told
  assert 'step 10 is used instead.' in told
  assert (
    'without hashes: whether its arrays have changed' in told
  ) is not hashed

  kept, state = resume(workdir)
  told = capsys.readouterr().err
  assert 'step 10 is used instead.' in told
  assert f'{workdir}/checkpoints/20 is now 20.damaged.' in told
  assert kept.latest_step() == int(state.step) == 10
  expected = checkpointed.filled(checkpointed.shapes()[1], 10)
  jax.tree.map(np.testing.assert_array_equal, state, expected)
  # The damaged one is kept, and not in the way of the next save.
  folder = workdir / 'checkpoints'
  assert {p.name for p in folder.iterdir()} == {'10', '20.damaged'}
  config, shapes = checkpointed.shapes()
  again = checkpointed.filled(shapes, 20)
  kept.save(again, checkpointed.variables(again), checkpointed.meta(config))
  kept.wait()
  assert kept.latest_step() == checkpoints.restore_model(workdir).step == 20
  assert hashes.exist(folder / '20')


def test_a_converted_model_is_hashed_too(tmp_path):
  config, state = checkpointed.shapes()
  meta = {**checkpointed.meta(config), 'converted_from': {'file': 'x.pth'}}
  whole = checkpointed.variables(checkpointed.filled(state, 0))
  checkpoints.save_model(tmp_path, whole, meta)
  assert checkpoints.restore_model(tmp_path).step == 0
  with pytest.raises(errors.InputError, match='is a converted model'):
    resume(tmp_path)
  flip(largest(tmp_path), 12345)
  with pytest.raises(errors.InputError, match='checkpoints/0 is damaged'):
    checkpoints.restore_model(tmp_path)


def test_a_lost_optimiser_matters_only_to_training(workdir, capsys):
  shutil.rmtree(workdir / 'checkpoints/20/train')
  assert checkpoints.restore_model(workdir).step == 20
  assert capsys.readouterr().err == ''
  _, state = resume(workdir)
  assert int(state.step) == 10
  assert '20 is damaged (train is missing); step 10' in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['cut file', 'lost JSON', 'lost data'])
def test_a_step_that_was_asked_for_is_not_replaced(kind, workdir):
  step = workdir / 'checkpoints/20'
  if kind == 'lost data':
    shutil.rmtree(step / 'data')
  else:
    DAMAGES[kind](step)
  with pytest.raises(errors.InputError) as refused:
    checkpoints.restore_model(step)
  message = str(refused.value)
  assert f'{step} is damaged (' in message
  assert f'but {workdir}/checkpoints/10 is whole; give that.' in message


def test_an_earlier_damaged_step_is_not_in_the_way(workdir, capsys):
  notes = workdir / 'checkpoints/10/_CHECKPOINT_METADATA'
  notes.write_text('[' * 100_000)
  kept, _ = resume(workdir)
  assert kept.latest_step() == 20
  assert f'{notes} is nested too deeply.' in capsys.readouterr().err
  assert (workdir / 'checkpoints/10.damaged').is_dir()


def test_training_does_not_start_anew_over_damaged_steps(workdir):
  for step in (10, 20):
    (workdir / f'checkpoints/{step}/data/metadata').write_text('{}')
  before = sorted(workdir.rglob('*'))
  with pytest.raises(errors.InputError) as refused:
    resume(workdir)
  for step in (10, 20):
    assert f'checkpoints/{step} is damaged (data/metadata is not' in str(
      refused.value
    )
  assert sorted(workdir.rglob('*')) == before


@pytest.mark.parametrize('name', ['metrics/metrics', 'data/metadata'])
def test_the_second_best_model_replaces_a_damaged_best_one(
  name, workdir, capsys
):
  path = workdir / 'best/20' / name
  path.write_text(path.read_text().replace('0.75', '0.85'))
  assert checkpoints.restore_model(workdir / 'best').step == 10
  assert f'best/20 is damaged ({name} is not' in capsys.readouterr().err
  kept, state = resume(workdir)
  assert 'it is now 20.damaged.' in capsys.readouterr().err
  config, _ = checkpointed.shapes()
  kept.save_best(
    20, checkpointed.variables(state), checkpointed.meta(config), 0.75
  )
  assert checkpoints.restore_model(workdir / 'best').step == 20


def test_top1_is_checked_without_hashes_too(workdir, capsys):
  forget_hashes(workdir)
  path = workdir / 'best/10/metrics/metrics'
  path.write_text(json.dumps({'top1': 0.9}))
  assert checkpoints.restore_model(workdir / 'best').step == 20
  assert 'top1 is 0.9, but 0.5 in data' in capsys.readouterr().err


@pytest.mark.parametrize(
  'change',
  [
    lambda text: text[: text.index('\n', 200) + 1],  # cut at a line's end
    lambda text: '',
    lambda text: text.replace('  model/', '  ../../../model/'),
    lambda text: text.replace('  model/', '  /dev/../model/'),
    lambda text: text + f'{"0" * 64}  model/\n',
  ],
)
def test_a_changed_list_of_hashes_is_found(change, workdir):
  path = workdir / 'checkpoints/20' / hashes.FILE
  path.write_text(change(path.read_text()))
  with pytest.raises(errors.InputError, match='is no whole list of hashes'):
    checkpoints.restore_model(path.parent)


@pytest.mark.parametrize('hashed', [True, False])
def test_what_is_no_file_is_not_read(hashed, workdir):
  if not hashed:
    forget_hashes(workdir)
  path = largest(workdir / 'checkpoints/20/model')
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(errors.InputError, match='is no file'):
    checkpoints.restore_model(workdir / 'checkpoints/20')
  path.unlink()
  path.symlink_to('/dev/zero')
  with pytest.raises(errors.InputError, match='is no file'):
    checkpoints.restore_model(workdir / 'checkpoints/20')
