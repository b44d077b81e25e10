import chex
import jax
import numpy as np
import pytest

from support import helpers, trainings
from tsm_jax import evaluate, models, train
from tsm_jax.data.input import pipeline, preprocess
from tsm_jax.data.store import dataset
from tsm_jax.runs import checkpoints


def run(config, workdir):
  state, result = train.train(config, workdir, lambda line: None)
  return jax.device_get(state), result


def test_the_average_of_parameters_is_that_of_the_steps(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  raw = helpers.tiny_config(
    folder, data_dir, checkpoint__every_steps=1, checkpoint__keep=99
  )
  run(raw, tmp_path / 'raw')
  steps = [
    checkpoints.restore_model(tmp_path / 'raw/checkpoints' / str(i)).variables
    for i in range(1, 13)
  ]
  weights = 0.8 ** np.arange(11, -1, -1)
  expected = jax.tree.map(
    lambda *leaves: np.tensordot(weights, np.stack(leaves), 1) / weights.sum(),
    *[step['params'] for step in steps],
  )

  def config():
    return helpers.tiny_config(folder, data_dir, ema_decay=0.8)

  state, result = run(config(), tmp_path / 'ema')
  chex.assert_trees_all_equal(state.params, steps[-1]['params'])
  used = checkpoints.restore_model(tmp_path / 'ema').variables
  chex.assert_trees_all_close(used['params'], expected, rtol=1e-5, atol=1e-6)
  again = evaluate.evaluate_checkpoint(
    config(), tmp_path / 'ema', lambda line: None
  )
  assert again.loss == result.loss  # the one evaluated is the one saved

  with monkeypatch.context() as patch:
    trainings.terminate_at(patch, 3)
    with pytest.raises(SystemExit):
      run(config(), tmp_path / 'parts')
  resumed, again = run(config(), tmp_path / 'parts')
  chex.assert_trees_all_equal(resumed, state)
  assert again.loss == result.loss


def test_precise_statistics_are_those_of_the_batches(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)
  raw, _ = run(helpers.tiny_config(folder, data_dir), tmp_path / 'raw')
  config = helpers.tiny_config(folder, data_dir, eval__precise_bn_batches=2)
  state, result = run(config, tmp_path / 'precise')
  chex.assert_trees_all_equal(state, raw)

  used = checkpoints.restore_model(tmp_path / 'precise').variables
  chex.assert_trees_all_equal(used['params'], raw.params)
  # From zeros, a training step leaves a tenth of the batch's statistics.
  zeros = jax.tree.map(np.zeros_like, raw.batch_stats)
  source = dataset.prepare(config.data, log=len).split('train')
  how = preprocess.Preprocessing.from_config(config)
  batches = pipeline.train_batches(source, config, how, 0, (0, 1))
  model = models.create_model(config.model)
  seen = []
  for _ in range(2):
    frames = how.normalize(next(batches)['frames'])
    _, moved = model.apply(
      {'params': raw.params, 'batch_stats': zeros},
      frames,
      train=True,
      mutable=['batch_stats'],
    )
    seen.append(moved['batch_stats'])
  expected = jax.tree.map(lambda a, b: 10 * (a + b) / 2, *seen)
  chex.assert_trees_all_close(
    used['batch_stats'], expected, rtol=1e-4, atol=1e-5
  )
  again = evaluate.evaluate_checkpoint(
    config, tmp_path / 'precise', lambda line: None
  )
  assert again.loss == result.loss
