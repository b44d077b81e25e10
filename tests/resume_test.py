"""A run goes on: with other devices, for longer, on a moved folder, or not."""

import shutil

import chex
import jax
import numpy as np
import pytest

from support import helpers, trainings
from tsm_jax import errors, sharding
from tsm_jax.models import cost
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints


def test_a_run_goes_on_with_other_devices_split_or_not(
  folder, data_dir, tmp_path, monkeypatch
):
  whole, expected, log = train_on(1, False, folder, data_dir, tmp_path / 'one')
  assert 'on 1 cpu device(s)' in log
  one = list(trainings.losses(tmp_path / 'one').values())
  assert len(one) == whole.step == 12
  assert one[0] > 1.2 * one[-1]  # it learns, so that equality says something

  parts = tmp_path / 'parts'
  for count in (1, 2):
    with monkeypatch.context() as patch:
      trainings.terminate_at(patch, 3)
      with pytest.raises(SystemExit):
        train_on(count, count > 1, folder, data_dir, parts)
  state, result, log = train_on(8, True, folder, data_dir, parts)
  assert 'at step 6 of 12' in log and 'on 8 cpu device(s)' in log
  chex.assert_trees_all_close(state, whole, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(
    list(trainings.losses(parts).values()), one, rtol=1e-5
  )
  np.testing.assert_allclose(result.loss, expected.loss, rtol=1e-4)
  # What is restored on one device is what was there, bit for bit.
  again, _, log = train_on(1, False, folder, data_dir, parts)
  assert 'This run finished at step 12' in log
  chex.assert_trees_all_equal(again, state)


def train_on(count, fsdp, folder, data_dir, workdir):
  """Trains on some devices, and checks how the state lies on them."""
  config = helpers.tiny_config(
    folder,
    data_dir,
    base_learning_rate=0.3,
    log_every_steps=1,
    fsdp=fsdp,
  )
  with pytest.MonkeyPatch.context() as patch:
    trainings.on_devices(patch, count)
    state, result, log = trainings.run(config, workdir)
  if fsdp:
    check_split(state, count)
  return jax.device_get(state), result, log


def check_split(state, count):
  """Each device holds its share of every kernel, and vectors whole."""
  kernel = state.params['layer1_0']['conv1']['kernel']
  assert kernel.addressable_shards[0].data.size == kernel.size // count
  momentum = state.opt_state[3].trace['layer1_0']['conv1']['kernel']
  assert momentum.sharding.spec == kernel.sharding.spec
  shardings = jax.tree.map(lambda x: x.sharding, state.params)
  split = sharding.sharded_share(state.params, shardings)
  vectors = sum(x.size for x in jax.tree.leaves(state.params) if x.ndim < 2)
  total = cost.num_parameters(state.params)
  assert split > 0.8 and split <= 1 - vectors / total


def test_a_run_trains_longer_also_on_a_folder_that_was_moved(
  folder, data_dir, tmp_path, monkeypatch
):
  changes = {
    'schedule__kind': 'step',
    'eval__every_epochs': 0.0,
  }
  trainings.on_devices(monkeypatch, 1)
  whole, *_ = trainings.run(
    helpers.tiny_config(folder, data_dir, epochs=1.6, **changes),
    tmp_path / 'whole',
  )
  assert [r['step'] for r in metrics.read(tmp_path / 'whole')] == [2, 4, 4]
  trainings.run(
    helpers.tiny_config(folder, data_dir, epochs=0.8, **changes),
    tmp_path / 'parts',
  )
  moved = shutil.copytree(folder, tmp_path / 'moved')
  longer, _, log = trainings.run(
    helpers.tiny_config(moved, data_dir, epochs=1.6, **changes),
    tmp_path / 'parts',
  )
  assert 'at step 2 of 4' in log and 'epochs is 1.6; it was 0.8' in log
  chex.assert_trees_all_equal(longer, whole)
  with pytest.raises(errors.InputError, match=r'epochs \(there 1.6, now 0.8\)'):
    trainings.run(
      helpers.tiny_config(folder, data_dir, epochs=0.8, **changes),
      tmp_path / 'parts',
    )


def test_a_stop_at_the_last_step_saves_the_model_that_is_evaluated(
  folder, data_dir, tmp_path, monkeypatch
):
  workdir = tmp_path / 'run'
  trainings.on_devices(monkeypatch, 1)
  config = helpers.tiny_config(
    *(folder, data_dir),
    base_learning_rate=0.3,  # the program of the first test
    epochs=0.8,
    eval__precise_bn_batches=1,
  )
  with monkeypatch.context() as patch:
    trainings.terminate_at(patch, 2)
    with pytest.raises(SystemExit):
      trainings.run(config, workdir)
  _, _, log = trainings.run(config, workdir)
  assert 'This run finished at step 2' in log
  the_evaluated_one(workdir)


def the_evaluated_one(workdir):
  """The last model, of step 2, which is the best one, too."""
  last, best = (
    checkpoints.restore_model(workdir / name)
    for name in ('checkpoints', 'best')
  )
  assert last.step == best.step == 2
  chex.assert_trees_all_equal(last.variables, best.variables)
  return last


@pytest.mark.parametrize('patience', [0, 1], ids=['asked later', 'from start'])
def test_a_stop_where_a_run_ends_early_saves_the_model_that_is_evaluated(
  patience, folder, data_dir, tmp_path, monkeypatch
):
  workdir = tmp_path / 'run'
  trainings.on_devices(monkeypatch, 1)
  config = helpers.tiny_config(
    *(folder, data_dir),
    base_learning_rate=0.0,  # no evaluation is better than the first
    epochs=5.0,
    eval__every_epochs=0.5,  # every step
    eval__patience=patience,
    eval__precise_bn_batches=1,
  )
  with monkeypatch.context() as patch:
    trainings.terminate_at(patch, 2)
    with pytest.raises(SystemExit):
      trainings.run(config, workdir)
  stopped = checkpoints.restore_model(workdir)
  assert stopped.step == 2
  config.eval.patience = 1
  _, _, log = trainings.run(config, workdir)
  assert 'The run ends at step 2' in log
  last = the_evaluated_one(workdir)
  # A stop leaves no time for precise statistics.
  with pytest.raises(AssertionError):
    chex.assert_trees_all_equal(last.variables, stopped.variables)
  assert sorted(p.name for p in (workdir / 'checkpoints').iterdir()) == ['2']


def test_a_workdir_that_is_removed_is_named(
  folder, data_dir, tmp_path, monkeypatch
):
  workdir = tmp_path / 'run'
  trainings.on_devices(monkeypatch, 1)
  trainings.at_batch(monkeypatch, 2, lambda: shutil.rmtree(workdir))
  with pytest.raises(errors.InputError, match=f'{workdir} was removed while'):
    trainings.run(
      helpers.tiny_config(
        *(folder, data_dir),
        base_learning_rate=0.3,  # the program of the first test
        checkpoint__every_steps=3,
      ),
      workdir,
    )
  assert not workdir.exists()
