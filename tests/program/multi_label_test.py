"""Clips of several labels: loss, mirrors, mixing and average precision."""

import functools
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import helpers, ranked
from tsm_jax import errors, program, sharding
from tsm_jax.data.input import augment
from tsm_jax.program import checks, early_stopping, metrics, multi_label

LOGITS = np.array([[2.0, -1.0, 0.0], [0.0, 3.0, 4.0]], np.float32)
LABEL = np.array([[1, 0, 1], [0, 1, 0]], np.int32)


def test_the_loss_by_hand():
  def one(logit, target):
    p = 1 / (1 + math.exp(-logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)

  for smoothing in (0.0, 0.2):
    expected = [
      sum(one(x, y * (1 - smoothing) + smoothing / 2) for x, y in zip(*row)) / 3
      for row in zip(LOGITS.tolist(), LABEL.tolist())
    ]
    found = multi_label.cross_entropy(LOGITS, LABEL, smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    frames = np.stack([LOGITS, 0 * LOGITS], 1)  # [B, T, K]
    found = multi_label.frame_cross_entropy(frames, LABEL, smoothing)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)
    # Nothing is known: whatever the labels are.
    np.testing.assert_allclose(found[:, 1], math.log(2), rtol=1e-6)


def test_a_hit_is_any_label_of_the_clip():
  assert multi_label.hits(LOGITS, LABEL).tolist() == [True, False]
  assert multi_label.top1(LOGITS, LABEL) == 0.5
  mixed = np.array([[0.4, 0, 1], [0, 1, 0.6]], np.float32)
  assert multi_label.hits(LOGITS, mixed).tolist() == [False, True]


def test_average_precision_equals_its_definition():
  # By hand: precisions 1/1, 2/3 and 3/4 where the recall grows by a third.
  found = multi_label.average_precision([9, 8, 7, 6], [1, 0, 1, 1])
  assert found == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
  assert multi_label.average_precision([1, 1, 1, 1], [1, 0, 0, 0]) == 0.25
  assert math.isnan(multi_label.average_precision([1, 2], [0, 0]))
  rng = np.random.default_rng(0)
  for _ in range(20):
    scores = rng.integers(8, size=30).tolist()  # many are equal
    positive = rng.integers(2, size=30).tolist()
    found = multi_label.average_precision(scores, positive)
    assert found == pytest.approx(ranked.average_precision(scores, positive))


def test_a_mirror_swaps_each_label():
  label = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]] * 20, np.int32)
  frames = np.arange(60 * 2, dtype=np.uint8).reshape((60, 1, 1, 2, 1))
  mirrored = np.array([1, 0, 2, -1], np.int32)  # left, right, walk, write
  found, labels = jax.jit(augment.random_flip)(
    jax.random.key(0), frames, label, mirrored
  )
  flipped = np.asarray(found)[:, 0, 0, 0, 0] != frames[:, 0, 0, 0, 0]
  assert 10 < flipped.sum() < 30
  assert not flipped[2::3].any()  # one of its labels has no mirror image
  swapped = label[:, [1, 0, 2, 3]]
  np.testing.assert_array_equal(
    labels, np.where(flipped[:, None], swapped, label)
  )


def test_mixed_clips_have_shares_of_each_label():
  frames = np.zeros((2, 1, 4, 4, 3), np.uint8)
  config = types.SimpleNamespace(
    mixup_alpha=1.0,
    cutmix_alpha=0.0,
    erase_probability=0.0,
    data=types.SimpleNamespace(
      mean=(0.5,), std=(0.5,), divisor=255.0, channel_order='rgb'
    ),
    model=types.SimpleNamespace(num_classes=3, modality='rgb'),
  )
  batch = {'frames': frames, 'label': LABEL}
  mix = jax.jit(lambda key, batch: augment.augment(key, batch, config))
  _, label = mix(jax.random.key(0), batch)
  share = float(label[0, 0])
  assert 0 < share < 1
  np.testing.assert_allclose(
    label, share * LABEL + (1 - share) * LABEL[::-1], atol=1e-6
  )


def config(**changes):
  usual = {'data__multi_label': True, 'model__stage_sizes': (1,)}
  usual |= {'batch_size': 8, 'model__dropout': 0.0, 'label_smoothing': 0.1}
  return helpers.tiny_config('', '', **{**usual, **changes})


def step_on(devices):
  """`(metrics, classifier)` after a step; and the model at step 0."""
  mesh = sharding.create_mesh(jax.devices()[:devices])
  built = program.build(config(data__flip='off'), mesh, 3, 80)
  key = jax.random.key(0)
  state = built.init(key)
  params = jax.device_get(state.params)
  rng = np.random.default_rng(0)
  batch = {
    'frames': rng.integers(256, size=(8, 4, 32, 32, 3)).astype(np.uint8),
    'label': rng.integers(2, size=(8, 3)).astype(np.int32),
  }
  train = built.train_step.lower(*built.arguments).compile()
  state, values = train(state, sharding.to_devices(batch, mesh), key)
  return values, state.params['head'], (built, params, batch)


def test_one_device_and_eight_take_the_same_step():
  one, one_head, (built, params, batch) = step_on(1)
  eight, eight_head, _ = step_on(8)
  np.testing.assert_allclose(one['loss'], eight['loss'], rtol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    jax.device_get(one_head),
    jax.device_get(eight_head),
  )
  frames = built.preprocessing.normalize(batch['frames'])
  apply = jax.jit(
    functools.partial(built.model.apply, train=True, mutable=['batch_stats'])
  )
  logits, _ = apply(
    {'params': params, 'batch_stats': built_stats(built)}, frames
  )
  target = 0.9 * batch['label'] + 0.05
  p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
  losses = -target * np.log(p) - (1 - target) * np.log(1 - p)
  np.testing.assert_allclose(one['loss'], losses.mean(), rtol=1e-4)


def built_stats(built):
  return jax.tree.map(
    lambda x: jnp.zeros(x.shape), built.arguments[0].batch_stats
  )


def test_a_run_ends_early_by_the_mean_average_precision():
  lines = [
    {'step': step, 'eval/map': score, 'eval/top1': step / 10}
    for step, score in enumerate([0.2, 0.5, 0.4, 0.3])
  ]
  evaluation = {'patience': 2, 'split': 'val'}
  said = early_stopping.explain(lines, evaluation)
  assert 'mean average precision on' in said
  assert 'above the 50.00% of step 1' in said
  assert not early_stopping.explain(lines[:3], evaluation)


def test_what_evaluation_adds_up():
  mask = np.array([1, 0], np.float32)
  found = metrics.counts(LOGITS, LABEL, mask)
  assert found['clips'] == 1
  assert found['top1'] == 1
  np.testing.assert_allclose(
    found['loss'], multi_label.cross_entropy(LOGITS, LABEL)[0]
  )


@pytest.mark.parametrize(
  ('field', 'value'),
  [('balance', 'loss'), ('balance', 'sampling'), ('background', 'x')],
)
def test_what_needs_one_label_is_refused(field, value):
  mesh = sharding.create_mesh(jax.devices()[:1])
  wrong = config(**{f'data__{field}': value})
  with pytest.raises(errors.InputError, match=f"data.{field} is '{value}'"):
    checks.check(wrong, mesh)
