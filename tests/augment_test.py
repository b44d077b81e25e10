import types

import jax
import numpy as np
import pytest

from support import helpers
from tsm_jax import errors, sharding
from tsm_jax.configs import common
from tsm_jax.data.input import augment, cropping

SHAPE = (32, 3, 6, 8, 3)  # [B, T, H, W, C]


def uint8_frames(shape=SHAPE):
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def config(**changes):
  fields = {'mixup_alpha': 0.0, 'cutmix_alpha': 0.0, 'erase_probability': 0.0}
  return types.SimpleNamespace(
    **{**fields, **changes},
    data=types.SimpleNamespace(
      mean=(0.5, 0.4, 0.3),
      std=(0.2, 0.3, 0.4),
      divisor=255.0,
      channel_order='rgb',
    ),
    model=types.SimpleNamespace(num_classes=4, modality='rgb'),
  )


def is_a_box(mask):
  """Whether the true pixels of `[H, W]` fill a rectangle."""
  rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
  filled = np.zeros_like(mask)
  filled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
  return np.array_equal(mask, filled)


def test_flips_mirror_whole_clips_and_their_labels_by_the_key():
  frames = uint8_frames((96, *SHAPE[1:]))
  label = np.arange(96, dtype=np.int32) % 4
  mirrored = np.array([1, 0, 2, -1], np.int32)
  flip = jax.jit(augment.random_flip)
  result, labels = flip(jax.random.key(0), frames, label, mirrored)
  turned = frames[:, :, :, ::-1]
  was_flipped = np.array([np.array_equal(a, b) for a, b in zip(result, turned)])
  was_kept = np.array([np.array_equal(a, b) for a, b in zip(result, frames)])
  assert all(was_flipped != was_kept)
  assert not was_flipped[label == 3].any()
  assert 21 <= was_flipped.sum() <= 51  # of 72, 3.5 standard deviations
  np.testing.assert_array_equal(
    labels, np.where(was_flipped, mirrored[label], label)
  )
  again, _ = flip(jax.random.key(0), frames, label, mirrored)
  np.testing.assert_array_equal(again, result)
  other, _ = flip(jax.random.key(1), frames, label, mirrored)
  assert np.any(other != result)


def test_flow_is_mirrored_with_its_sign_and_the_label_swapped():
  frames = uint8_frames((40, 3, 6, 8, 10))
  label = np.arange(40, dtype=np.int32) % 4
  mirrored = np.array([1, 0, 2, -1], np.int32)
  flip = jax.jit(augment.random_flip, static_argnums=4)
  result, labels = flip(jax.random.key(0), frames, label, mirrored, 'flow')
  result = np.asarray(result)
  flipped = np.any(result != frames, axis=(1, 2, 3, 4))
  assert 8 <= flipped.sum() <= 22 and not flipped[label == 3].any()
  turned = frames[:, :, :, ::-1]
  np.testing.assert_array_equal(
    result[flipped][..., 0::2], 255 - turned[flipped][..., 0::2]
  )
  np.testing.assert_array_equal(
    result[flipped][..., 1::2], turned[flipped][..., 1::2]
  )
  np.testing.assert_array_equal(
    labels, np.where(flipped, mirrored[label], label)
  )


def test_randaugment_of_flow_is_refused():
  fields = common.get_config('any')
  common.look_at(fields, 'flow')
  augment.check(fields)
  fields.update(mixup_alpha=0.2, cutmix_alpha=1.0, erase_probability=0.5)
  augment.check(fields)  # these act on motion as on colours
  fields.data.randaugment_ops = 1
  with pytest.raises(errors.InputError, match=r'randaugment_ops is 1.*flow'):
    augment.check(fields)


def test_a_batch_is_only_normalised_by_default():
  batch = {'frames': uint8_frames(), 'label': np.arange(32) % 4}
  frames, label = augment.augment(jax.random.key(0), batch, config())
  expected = (batch['frames'] / 255 - (0.5, 0.4, 0.3)) / (0.2, 0.3, 0.4)
  np.testing.assert_allclose(frames, expected, rtol=2e-5, atol=1e-6)
  np.testing.assert_array_equal(label, batch['label'])


def test_a_batch_is_flipped_erased_and_mixed_in_this_order():
  batch = {'frames': uint8_frames(), 'label': np.arange(32) % 4}
  mirrored = np.array([1, 0, 2, 3], np.int32)
  key = jax.random.key(5)
  all_on = config(mixup_alpha=0.4, erase_probability=0.5)
  frames, label = augment.augment(key, batch, all_on, mirrored)
  flip_key, erase_key, mix_key = jax.random.split(key, 3)
  x, y = augment.random_flip(flip_key, *batch.values(), mirrored)
  x = cropping.normalize(x, all_on.data.mean, all_on.data.std)
  x = augment.random_erase(erase_key, x, 0.5)
  share = np.asarray(augment.mix_weights(mix_key, (6, 8), 0.4, 0.0))[0, 0]
  x, y = np.asarray(x), np.eye(4)[y]
  previous = np.arange(32) - 1
  np.testing.assert_allclose(
    frames, share * x + (1 - share) * x[previous], atol=1e-5
  )
  np.testing.assert_allclose(
    label, share * y + (1 - share) * y[previous], atol=1e-6
  )


def test_erasing_sets_one_box_of_a_clip_to_the_mean():
  frames = np.random.default_rng(0).normal(size=(400, 2, 40, 48, 3))
  frames = frames.astype(np.float32)
  erase = jax.jit(augment.random_erase, static_argnums=2)
  result = np.asarray(erase(jax.random.key(0), frames, 0.25))
  masks = result == 0
  assert np.array_equal(result[~masks], frames[~masks])
  assert np.all(masks == masks[:, :1, :, :, :1])  # the same for frames, colours
  masks = masks[:, 0, :, :, 0]
  erased = masks.any((1, 2))
  assert 70 <= erased.sum() <= 130  # of 400, 3.5 standard deviations
  shares, ratios, tops, lefts = [], [], [], []
  for mask in masks[erased]:
    assert is_a_box(mask)
    shares.append(mask.mean())
    h, w = mask.any(1).sum(), mask.any(0).sum()
    ratios.append(h / w)
    tops.append(np.argmax(mask.any(1)) / max(40 - h, 1))
    lefts.append(np.argmax(mask.any(0)) / max(48 - w, 1))
  assert 0.01 < min(shares) < 0.05 and 0.28 < max(shares) < 0.36
  assert abs(np.mean(shares) - (0.02 + 1 / 3) / 2) < 0.04
  assert 0.2 < min(ratios) < 0.45 and 2.2 < max(ratios) < 4.5
  assert abs(np.mean(np.log(ratios))) < 0.25
  for positions in (tops, lefts):
    assert abs(np.mean(positions) - 0.5) < 0.1
    assert min(positions) < 0.1 and max(positions) > 0.9


def many_weights(mixup_alpha, cutmix_alpha, size=(20, 24)):
  keys = jax.random.split(jax.random.key(0), 2000)
  draw = jax.vmap(
    lambda key: augment.mix_weights(key, size, mixup_alpha, cutmix_alpha)
  )
  return np.asarray(draw(keys))


@pytest.mark.parametrize('alpha', [0.2, 1.0])
def test_mixup_shares_are_those_of_the_beta_distribution(alpha):
  weights = many_weights(alpha, 0.0)
  assert np.all(weights == weights[:, :1, :1])
  shares = weights[:, 0, 0]
  expected = np.random.default_rng(0).beta(alpha, alpha, 20000)
  levels = np.linspace(0.05, 0.95, 10)
  for level in levels:
    assert abs((shares < level).mean() - (expected < level).mean()) < 0.045


def official_cutmix(rng, alpha, height, width):
  """The kept pixels, by the formula of the paper's authors."""
  ratio = np.sqrt(1 - rng.beta(alpha, alpha))
  h, w = int(height * ratio), int(width * ratio)
  y, x = rng.integers(height), rng.integers(width)
  kept = np.ones((height, width), bool)
  kept[
    np.clip(y - h // 2, 0, height) : np.clip(y + h // 2, 0, height),
    np.clip(x - w // 2, 0, width) : np.clip(x + w // 2, 0, width),
  ] = False
  return kept


def test_cutmix_boxes_are_those_of_its_authors():
  weights = many_weights(0.0, 1.0)
  assert set(np.unique(weights)) == {0, 1}
  assert all(is_a_box(w == 0) for w in weights if w.min() == 0)
  rng = np.random.default_rng(0)
  expected = np.stack([official_cutmix(rng, 1.0, 20, 24) for _ in range(8000)])
  # Every pixel is cut as often, and areas are spread alike.
  np.testing.assert_allclose(weights.mean(0), expected.mean(0), atol=0.045)
  for level in (0.3, 0.5, 0.7, 0.9):
    assert (
      abs(
        (weights.mean((1, 2)) < level).mean()
        - (expected.mean((1, 2)) < level).mean()
      )
      < 0.045
    )


def test_with_both_a_batch_gets_one_of_them():
  weights = many_weights(1.0, 1.0)
  cut = np.array([set(np.unique(w)) <= {0, 1} for w in weights])
  assert 900 <= cut.sum() <= 1100  # of 2000


def test_cut_boxes_take_the_previous_clip_and_its_share_of_the_label():
  frames = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
  label = np.eye(4, dtype=np.float32)[np.arange(32) % 4]
  weights = np.ones((6, 8), np.float32)
  weights[1:4, 2:6] = 0  # 12 of 48 pixels
  mixed, shares = augment.mix(frames, label, weights)
  expected = frames.copy()
  expected[:, :, 1:4, 2:6] = np.concatenate([frames[-1:], frames[:-1]])[
    :, :, 1:4, 2:6
  ]
  np.testing.assert_array_equal(mixed, expected)
  np.testing.assert_allclose(shares[0], [0.75, 0, 0, 0.25])
  np.testing.assert_allclose(shares[1], [0.25, 0.75, 0, 0])


def test_eight_devices_augment_as_one():
  batch = {'frames': uint8_frames(), 'label': np.arange(32, dtype=np.int32) % 4}
  all_on = config(mixup_alpha=0.4, cutmix_alpha=1.0, erase_probability=0.5)
  mirrored = np.array([1, 0, 2, 3], np.int32)

  @jax.jit
  def run(key, batch):
    return augment.augment(key, batch, all_on, mirrored)

  for seed in range(3):  # mixup and CutMix among them
    key = jax.random.key(seed)
    one = run(key, batch)
    mesh = sharding.create_mesh()
    eight = run(key, sharding.to_devices(batch, mesh))
    assert eight[0].sharding.num_devices == 8
    for a, b in zip(one, eight):
      np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize('scales', [(), (0.001,), (1, 1.5), (1, 0), (-0.5,)])
def test_scales_that_are_none(scales):
  config = helpers.tiny_config('', '')
  config.data.scales = scales
  with pytest.raises(errors.InputError, match=r'data\.scales is .* at most 1'):
    augment.check(config)
