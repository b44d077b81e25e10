"""A run goes on with another number of devices, split over them or not."""

import chex
import jax
import numpy as np
import pytest

from support import helpers, trainings
from tsm_jax import sharding, train
from tsm_jax.models import cost


def config(folder, data_dir, **changes):
  return helpers.tiny_config(
    folder,
    data_dir,
    base_learning_rate=0.1,
    log_every_steps=1,
    eval__every_epochs=100.0,
    **changes,
  )


@pytest.mark.parametrize(
  ('devices', 'fsdp'),
  [
    ((8, 2), True),
    pytest.param((8, 4, 1), False, marks=pytest.mark.slow),
    pytest.param((1, 8), True, marks=pytest.mark.slow),
  ],
)
def test_fewer_devices_go_on_with_the_same_result(
  devices, fsdp, folder, data_dir, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    trainings.on_devices(patch, devices[0])
    whole, _, _ = trainings.run(config(folder, data_dir), tmp_path / 'whole')
  for count in devices:
    with monkeypatch.context() as patch:
      trainings.on_devices(patch, count)
      here = config(folder, data_dir, fsdp=fsdp)
      if count != devices[-1]:
        trainings.terminate_at(patch, 3)
        with pytest.raises(SystemExit):
          trainings.run(here, tmp_path / 'parts')
      else:
        state, result, log = trainings.run(here, tmp_path / 'parts')
        # What is restored is what was there, bit for bit.
        same, again, _ = trainings.run(here, tmp_path / 'parts')
        chex.assert_trees_all_equal(same, state)
        assert again.loss == result.loss
  assert 'Continuing' in log
  chex.assert_trees_all_close(state, whole, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(
    list(trainings.losses(tmp_path / 'parts').values()),
    list(trainings.losses(tmp_path / 'whole').values()),
    rtol=1e-6,
  )


def test_a_split_state_is_saved_and_restored_split(
  folder, data_dir, tmp_path, monkeypatch
):
  states = []
  for count in (8, 2):
    with monkeypatch.context() as patch:
      trainings.on_devices(patch, count)
      here = config(folder, data_dir, epochs=1.0, fsdp=True)
      state, _ = train.train(here, tmp_path, lambda line: None)
    states.append(jax.device_get(state))
    kernel = state.params['layer2_0']['conv1']['kernel']
    shard = kernel.addressable_shards[0].data
    assert shard.size == kernel.size // count
    momentum = state.opt_state[3].trace['layer2_0']['conv1']['kernel']
    assert momentum.sharding.spec == kernel.sharding.spec
    shardings = jax.tree.map(lambda x: x.sharding, state.params)
    split = sharding.sharded_share(state.params, shardings)
    vectors = sum(x.size for x in jax.tree.leaves(state.params) if x.ndim < 2)
    total = cost.num_parameters(state.params)
    assert split > 0.8 and split <= 1 - vectors / total
  chex.assert_trees_all_equal(*states)
