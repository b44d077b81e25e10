"""The loss in which clips of rare classes weigh more."""

import chex
import jax
import numpy as np
import pytest

from support import helpers, nets
from tsm_jax import models, program, sharding
from tsm_jax.program import metrics, step

WEIGHTS = np.array([0.5, 3.0, 0.25, 0.0], np.float32)
SMOOTHING = 0.1


def cross_entropy(logits, target):
  """Of one vector of logits, in float64."""
  logits = logits.astype(float)
  return -(target * (logits - np.log(np.exp(logits).sum()))).sum()


@pytest.mark.parametrize('mixed', [False, True])
def test_the_loss_equals_a_loop_over_the_clips(mixed):
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(6, 4)).astype(np.float32)
  label = rng.integers(3, size=6).astype(np.int32)
  if mixed:  # a clip and the one before it
    label = np.eye(4, dtype=np.float32)[label]
    label = 0.7 * label + 0.3 * np.roll(label, 1, axis=0)
  losses = metrics.cross_entropy(logits, label, SMOOTHING)
  found = metrics.weighted_mean(losses, label, WEIGHTS)
  expected = 0.0
  for row, given in zip(logits, label):
    shares = given if mixed else np.eye(4)[given]
    weight = sum(share * w for share, w in zip(shares, WEIGHTS))
    target = (1 - SMOOTHING) * shares + SMOOTHING / 4
    expected += weight * cross_entropy(row, target) / 6
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  equal = metrics.weighted_mean(losses, label, np.ones(4, np.float32))
  np.testing.assert_allclose(equal, losses.mean(), rtol=1e-6)
  assert metrics.weighted_mean(losses, label) == losses.mean()


@pytest.mark.parametrize('consensus', ['mean', 'frames'])
def test_the_gradient_of_a_clip_is_times_its_weight(consensus):
  fields = {'stage_sizes': (1,), 'width': 8, 'num_frames': 4, 'num_classes': 4}
  fields.update(direction='past', dropout=0.0, bn_stats='frozen')
  model = models.create_model({**nets.CONFIG, **fields, 'consensus': consensus})
  frames = nets.clips(3, 4, 32, 32, 3)
  variables = nets.tiny_variables(model, frames)
  label = np.array([1, 0, 2], np.int32)
  gradient = jax.jit(step.make_gradient(model, SMOOTHING, WEIGHTS))
  (_, values), grads = gradient(
    variables['params'],
    variables['batch_stats'],
    (frames, label),
    jax.random.key(0),
  )
  apply = jax.jit(model.clone(consensus='none').apply)
  logits = np.asarray(apply(variables, frames))
  if consensus == 'mean':
    logits = logits.mean(1, keepdims=True)
  exp = np.exp(logits)
  softmax = exp / exp.sum(-1, keepdims=True)
  target = (1 - SMOOTHING) * np.eye(4)[label] + SMOOTHING / 4
  by_logits = WEIGHTS[label][:, None] * (softmax - target[:, None]).mean(1)
  np.testing.assert_allclose(
    grads['head']['bias'], by_logits.mean(0), atol=1e-6
  )
  losses = [
    [cross_entropy(row, t) for row in clip] for clip, t in zip(logits, target)
  ]
  loss = (WEIGHTS[label] * np.mean(losses, 1)).mean()
  np.testing.assert_allclose(values['loss'], loss, rtol=1e-5)


def test_parts_and_devices_give_the_same_steps():
  """With mixed clips, whose weights are mixed, too."""
  weights = np.array([0.5, 3.0, 0.25, 1.5], np.float32)

  def train(devices, start=None, **changes):
    config = helpers.tiny_config(
      *('', ''),
      batch_size=16,
      base_learning_rate=1.0,
      label_smoothing=SMOOTHING,
      mixup_alpha=0.8,
      model__bn_stats='frozen',
      **changes,
    )
    mesh = sharding.create_mesh(jax.devices()[:devices])
    built = program.build(config, mesh, 4, 160, None, weights)
    start = start or jax.device_get(built.init(jax.random.key(0)))
    state, losses = jax.device_put(start, built.shardings), []
    rng = np.random.default_rng(0)
    for _ in range(2):
      batch = {
        'frames': rng.integers(256, size=(16, 4, 32, 32, 3)).astype(np.uint8),
        'label': rng.integers(4, size=16).astype(np.int32),
      }
      key = jax.device_put(jax.random.key(1), sharding.replicated(mesh))
      state, values = built.train_step(
        state, sharding.to_devices(batch, mesh), key
      )
      losses.append(float(values['loss']))
    return start, (jax.device_get(state.params), losses)

  start, expected = train(1)
  _, found = train(4, start, accumulation=2, fsdp=True)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)
