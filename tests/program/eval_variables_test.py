import chex
import jax
import numpy as np

from support import helpers, trainings
from tsm_jax import evaluate, models
from tsm_jax.data.input import pipeline, preprocess
from tsm_jax.data.store import dataset
from tsm_jax.runs import checkpoints

NUM_STEPS, DECAY, NUM_BATCHES = 5, 0.8, 2


def test_averaged_parameters_and_precise_statistics(
  folder, data_dir, tmp_path, monkeypatch
):
  """How a run with both goes on after a signal is in train_test."""
  trainings.on_devices(monkeypatch, 1)

  def config(**changes):
    return helpers.tiny_config(folder, data_dir, epochs=2.0, **changes)

  raw, _, _ = trainings.run(
    config(checkpoint__every_steps=1, checkpoint__keep=99), tmp_path / 'raw'
  )
  assert raw.step == NUM_STEPS
  steps = [
    checkpoints.restore_model(tmp_path / 'raw/checkpoints' / str(i)).variables
    for i in range(1, NUM_STEPS + 1)
  ]
  here = config(ema_decay=DECAY, eval__precise_bn_batches=NUM_BATCHES)
  state, result, _ = trainings.run(here, tmp_path / 'run')
  # Training itself is not affected.
  chex.assert_trees_all_equal(state.params, raw.params)
  chex.assert_trees_all_equal(state.batch_stats, raw.batch_stats)

  found = checkpoints.restore_model(tmp_path / 'run').variables
  weights = DECAY ** np.arange(NUM_STEPS - 1, -1, -1)
  averaged = jax.tree.map(
    lambda *leaves: np.tensordot(weights, np.stack(leaves), 1) / weights.sum(),
    *[step['params'] for step in steps],
  )
  chex.assert_trees_all_close(found['params'], averaged, rtol=1e-5, atol=1e-6)

  # From zeros, a training step leaves a tenth of the batch's statistics.
  zeros = jax.tree.map(np.zeros_like, raw.batch_stats)
  source = dataset.prepare(here.data, log=len).split('train')
  preprocessing = preprocess.Preprocessing.from_config(here)
  batches = pipeline.train_batches(source, here, preprocessing, 0, (0, 1))
  model = models.create_model({**here.model, 'num_classes': 2})
  train_once = jax.jit(
    lambda frames: model.apply(
      {'params': found['params'], 'batch_stats': zeros},
      preprocessing.normalize(frames),
      train=True,
      mutable=['batch_stats'],
    )[1]['batch_stats']
  )
  seen = [train_once(next(batches)['frames']) for _ in range(NUM_BATCHES)]
  precise = jax.tree.map(lambda a, b: 10 * (a + b) / 2, *seen)
  chex.assert_trees_all_close(
    found['batch_stats'], precise, rtol=1e-4, atol=1e-5
  )
  again = evaluate.evaluate_checkpoint(here, tmp_path / 'run', len)
  assert again.loss == result.loss  # the variables evaluated are those saved
