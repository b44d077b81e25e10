"""A step that is saved again, and a kill while it is."""

import shutil

import chex
import jax
import pytest

from support import checkpointed
from tsm_jax import errors
from tsm_jax.insight import wholeness
from tsm_jax.runs import checkpoints, folders, replacing


class Killed(BaseException):
  """In the place of a SIGKILL."""


@pytest.fixture
def workdir(tmp_path):
  return checkpointed.save(tmp_path / 'run', steps=(20,), best=())


def resume(workdir):
  """What a training does first: the state from which it continues."""
  config, state = checkpointed.shapes()
  kept = checkpoints.Checkpoints(workdir, config.checkpoint)
  assert kept.latest_step() == 20
  found, _ = kept.restore(state, checkpointed.meta(config))
  return kept, found


def save_again(workdir):
  """Saves the step with other statistics, which it returns."""
  kept, state = resume(workdir)
  stats = jax.tree.map(lambda x: x + 1, state.batch_stats)
  variables = {'params': state.params, 'batch_stats': stats}
  kept.save(state, variables, checkpointed.meta(checkpointed.shapes()[0]))
  kept.wait()
  return stats


def names(workdir):
  return sorted(path.name for path in (workdir / 'checkpoints').iterdir())


def test_only_a_model_with_other_statistics_is_replaced(workdir):
  kept, state = resume(workdir)
  sums = (workdir / 'checkpoints/20/SHA256SUMS').stat()
  variables = checkpointed.variables(state)
  rounded = jax.tree.map(lambda x: x * (1 + 1e-6), variables['batch_stats'])
  for stats in (variables['batch_stats'], rounded):
    kept.save(state, {**variables, 'batch_stats': stats}, {})
  kept.wait()
  assert (workdir / 'checkpoints/20/SHA256SUMS').stat() == sums
  stats = save_again(workdir)
  assert names(workdir) == ['20']
  assert wholeness.check(workdir, log=len)
  found = checkpoints.restore_model(workdir)
  chex.assert_trees_all_equal(found.variables['batch_stats'], stats)
  # Training goes on as it would have.
  _, again = resume(workdir)
  chex.assert_trees_all_equal(again, state)


def test_a_kill_before_the_second_save_is_whole_leaves_the_first(
  workdir, monkeypatch
):
  expected = checkpoints.restore_model(workdir).variables

  def killed(*args, **kwargs):
    raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(folders._Manager, 'save', killed)
    with pytest.raises(Killed):
      save_again(workdir)
  assert names(workdir) == ['20.replaced']
  resume(workdir)
  assert names(workdir) == ['20']
  found = checkpoints.restore_model(workdir).variables
  chex.assert_trees_all_equal(found, expected)


def test_a_second_save_that_fails_leaves_the_first(workdir, monkeypatch):
  def full(*args, **kwargs):
    raise OSError('No space left on device')

  with monkeypatch.context() as patch:
    patch.setattr(folders._Manager, 'save', full)
    with pytest.raises(ValueError, match=r'device.*; that of step 20 is whole'):
      save_again(workdir)
  assert names(workdir) == ['20']


def test_a_kill_after_the_second_save_leaves_that(workdir, monkeypatch):
  with monkeypatch.context() as patch:
    patch.setattr('shutil.rmtree', lambda *args, **kwargs: None)
    stats = save_again(workdir)
  assert names(workdir) == ['20', f'20{replacing.SUFFIX}']
  lines = []
  assert wholeness.check(workdir, lines.append)
  assert any('the next start' in line for line in lines)
  resume(workdir)
  assert names(workdir) == ['20']
  found = checkpoints.restore_model(workdir)
  chex.assert_trees_all_equal(found.variables['batch_stats'], stats)


def test_files_that_a_killed_rename_did_not_move_are_not_kept_for_the_whole(
  workdir,
):
  """As in a bucket, where a new name is a copy of each file."""
  folder = workdir / 'checkpoints'
  expected = checkpoints.restore_model(workdir).variables
  for partial, whole in (('20', '20.replaced'), ('20.replaced', '20')):
    (name,) = names(workdir)
    (folder / name).rename(folder / whole)
    shutil.copytree(folder / whole, folder / partial)
    shutil.rmtree(folder / partial / 'train')
    resume(workdir)
    assert names(workdir) == ['20']
    found = checkpoints.restore_model(workdir).variables
    chex.assert_trees_all_equal(found, expected)


def test_of_two_damaged_ones_none_is_thrown_away(workdir):
  folder = workdir / 'checkpoints'
  shutil.copytree(folder / '20', folder / '20.replaced')
  for name in names(workdir):
    shutil.rmtree(folder / name / 'model')
  with pytest.raises(errors.InputError, match='model is missing'):
    resume(workdir)
  assert names(workdir) == ['20', '20.replaced']


def test_a_reader_hears_of_a_step_that_waits_for_the_next_start(tmp_path):
  workdir = checkpointed.save(tmp_path / 'run', steps=(10, 20), best=())
  folder = workdir / 'checkpoints'
  (folder / '20').rename(folder / '20.replaced')
  lines = []
  assert checkpoints.restore_model(workdir, log=lines.append).step == 10
  assert any('20.replaced is of a save that was killed' in x for x in lines)
