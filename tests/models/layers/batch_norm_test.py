"""Statistics of the whole batch, of a device's clips, and of ghost batches."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import nets
from tsm_jax import errors, models, sharding
from tsm_jax.models import config as model_config
from tsm_jax.models.layers import batch_norm

CONFIG = {
  **models.DEFAULTS,
  'stage_sizes': (1, 1),
  'width': 8,
  'num_classes': 3,
  'num_frames': 4,
  'non_local': True,
  'temporal_pool': True,
  'dropout': 0.0,
}


def test_groups_are_normalised_as_computed_by_hand():
  rng = np.random.default_rng(0)
  x = (2 + rng.normal(size=(8, 3, 2, 5))).astype(np.float32)
  norm = batch_norm.BatchNorm(train=True, num_groups=4)
  variables = norm.init(jax.random.key(0), x)
  variables['params']['bias'] += 0.5
  y, updates = norm.apply(
    variables, x, mutable=['batch_stats', 'intermediates']
  )
  means, variances = [], []
  for group in range(4):
    rows = x[2 * group : 2 * group + 2].reshape(-1, 5).astype(np.float64)
    mean, var = rows.mean(0), rows.var(0)
    expected = (rows - mean) / np.sqrt(var + 1e-5) + 0.5
    ours = y[2 * group : 2 * group + 2].reshape(-1, 5)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    means.append(mean)
    variances.append(rows.var(0, ddof=1))
  seen = {'mean': np.mean(means, 0), 'var': np.mean(variances, 0)}
  chex.assert_trees_all_close(updates['intermediates'], seen, rtol=1e-5)
  moved = {'mean': 0.1 * seen['mean'], 'var': 0.9 + 0.1 * seen['var']}
  chex.assert_trees_all_close(updates['batch_stats'], moved, rtol=1e-5)


def training_loss(model):
  def loss(params, batch_stats, frames):
    logits, updates = model.apply(
      {'params': params, 'batch_stats': batch_stats},
      frames,
      train=True,
      mutable=['batch_stats'],
    )
    return jnp.square(logits - 1).mean(), (logits, updates['batch_stats'])

  return jax.jit(jax.value_and_grad(loss, has_aux=True))


def test_local_is_every_device_by_itself():
  frames = np.random.default_rng(0).normal(size=(16, 4, 32, 32, 3))
  frames = (frames + np.arange(16).reshape(-1, 1, 1, 1, 1)).astype(np.float32)
  config = {**CONFIG, 'bn_stats': 'local'}
  mesh = sharding.create_mesh()
  ghost = model_config.local_to_ghost(config, len(frames), mesh.size)
  assert ghost == {**config, 'bn_stats': 'ghost', 'ghost_clips': 2}
  assert config['bn_stats'] == 'local' and mesh.size == 8
  # Without a mesh, it is the whole batch, of one device.
  assert models.create_model(config) == models.create_model(CONFIG)
  assert model_config.local_to_ghost(CONFIG, 16, 8) == CONFIG
  alone = models.create_model(CONFIG)
  variables = nets.tiny_variables(alone, frames[:2])
  params, batch_stats = variables['params'], variables['batch_stats']

  placed = jax.device_put(frames, sharding.batched(mesh))
  everywhere = jax.device_put((params, batch_stats), sharding.replicated(mesh))
  together = training_loss(models.create_model(ghost))
  together = together.lower(*everywhere, placed).compile()
  ours = together(*everywhere, placed)
  # Nothing but sums crosses the devices.
  text = together.as_text()
  assert 'all-reduce' in text
  assert 'all-gather' not in text and 'all-to-all' not in text

  apart = training_loss(alone)
  each = [
    apart(params, batch_stats, frames[i : i + 2]) for i in range(0, 16, 2)
  ]
  (loss, (logits, stats)), grads = ours
  np.testing.assert_allclose(
    logits, np.concatenate([e[0][1][0] for e in each]), rtol=1e-4, atol=1e-4
  )
  (mean_loss, (_, mean_stats)), mean_grads = jax.tree.map(
    lambda *leaves: np.mean(leaves, 0), *each
  )
  chex.assert_trees_all_close(loss, mean_loss, rtol=1e-5)
  chex.assert_trees_all_close(stats, mean_stats, rtol=1e-4, atol=1e-5)
  chex.assert_trees_all_close(grads, mean_grads, rtol=1e-3, atol=1e-4)
  whole, _ = jax.jit(
    functools.partial(alone.apply, train=True, mutable=['batch_stats'])
  )(variables, frames)
  assert abs(np.asarray(whole - logits)).max() > 0.01  # another thing


def test_ghost_batches_must_be_whole():
  config = {**CONFIG, 'bn_stats': 'ghost', 'ghost_clips': 3}
  model = models.create_model(config)
  frames = np.zeros((4, 4, 32, 32, 3), np.float32)
  variables = jax.eval_shape(model.init, jax.random.key(0), frames)
  train = functools.partial(model.apply, train=True, mutable=['batch_stats'])
  with pytest.raises(errors.InputError, match=r'is 3.*the batch of 4 clips'):
    jax.eval_shape(train, variables, frames)
  jax.eval_shape(model.apply, variables, frames)  # not in evaluation
  with pytest.raises(errors.InputError, match='ghost_clips is 0'):
    models.create_model({**config, 'ghost_clips': 0})
  with pytest.raises(errors.InputError, match=r"'batch'.*'global', 'local'"):
    models.create_model({**config, 'bn_stats': 'batch'})
