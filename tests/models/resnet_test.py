import functools
import itertools

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import golden, nets
from tsm_jax import convert, models
from tsm_jax.models import resnet
from tsm_jax.models.layers import pooling, residual


def tiny(**fields):
  """Two stages of one bottleneck; the logits do depend on the shift."""
  fields = {'stage_sizes': (1, 1), 'width': 16, **fields}
  return models.create_model({**nets.CONFIG, **fields})


@pytest.mark.parametrize('depth', [18, 50])
def test_recorded_logits(depth):
  case = golden.case(f'r{depth}_shift8_blockres_T8_64')
  weights = golden.weights(golden.shapes(f'r{depth}_shift', num_classes=10))
  assert len(weights) == case['n_keys']
  config, variables = convert.from_torch(weights)
  frames = golden.frames(case['B'], case['T'], case['H'])
  clips = 1 if depth == 50 else case['B']  # it takes seconds
  logits = jax.jit(models.create_model(config).apply)(variables, frames[:clips])
  np.testing.assert_allclose(logits, case['logits'][:clips], rtol=1e-4)


def test_only_a_shift_sees_the_order_of_frames_and_it_has_its_place():
  frames = nets.clips(2, 8, 32, 32, 3)
  variables = nets.tiny_variables(tiny(), frames)
  logits = {}
  for shift in resnet.SHIFTS:
    apply = jax.jit(tiny(shift=shift).apply)
    logits[shift] = apply(variables, frames)
    backwards = apply(variables, frames[:, ::-1])
    scale = np.abs(logits[shift]).max()
    if shift == 'none':
      # Nor does any frame see another one: TSN is the mean over its frames.
      single = apply(variables, frames.reshape((16, 1, 32, 32, 3)))
      mean = single.reshape((2, 8, 10)).mean(axis=1)
      assert_near(logits[shift], mean)
      assert_near(logits[shift], backwards)
    else:
      assert np.abs(logits[shift] - backwards).max() > 1e-2 * scale
  assert np.abs(logits['block'] - logits['blockres']).max() > 1e-2 * scale
  assert np.abs(logits['none'] - logits['blockres']).max() > 1e-2 * scale


def assert_near(one, other):
  """Equal but for rounding.

  Equal frames in one batch may differ in the last bits: a matrix product on CPU
  adds the rows of a full block in another order than those of the last one.
  """
  atol = 1e-5 * np.abs(other).max()
  np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def test_a_dropout_mask_for_every_frame():
  # Equal frames without a shift: only the masks can make their logits differ.
  frames = np.repeat(nets.clips(1, 1, 32, 32, 3), 8, axis=1)
  model = tiny(shift='none').clone(consensus='none')
  variables = nets.tiny_variables(model, frames)
  logits, _ = jax.jit(
    functools.partial(model.apply, train=True, mutable=['batch_stats'])
  )(variables, frames, rngs={'dropout': jax.random.key(0)})
  assert logits.shape == (1, 8, 10)
  for one, other in itertools.combinations(np.asarray(logits[0]), 2):
    assert np.abs(one - other).max() > 1e-2 * np.abs(logits).max()
  evaluated = np.asarray(jax.jit(model.apply)(variables, frames))
  assert_near(evaluated, evaluated[:, :1].repeat(8, 1))


def test_number_of_parameters_of_variants():
  # torchvision's resnext50_32x4d, resnext101_32x8d and wide_resnet50_2 with
  # their 1000 classes.
  for depth, groups, width_per_group, expected in (
    (50, 32, 4, 25_028_904),
    (101, 32, 8, 88_791_336),
    (50, 1, 128, 68_883_240),
  ):
    fields = {
      'depth': depth,
      'groups': groups,
      'width_per_group': width_per_group,
      'num_classes': 1000,
    }
    assert nets.num_parameters({**nets.CONFIG, **fields}) == expected


def test_stages_have_the_shapes_of_torchvision():
  model = models.create_model(nets.CONFIG)
  frames = jnp.zeros((2, 8, 224, 224, 3))
  _, state = jax.eval_shape(
    lambda: model.init_with_output(
      jax.random.key(0), frames, capture_intermediates=True
    )
  )
  seen = state['intermediates']
  for stage, (size, side) in enumerate(zip((3, 4, 6, 3), (56, 28, 14, 7))):
    block = seen[f'layer{stage + 1}_{size - 1}']['__call__'][0]
    assert block.shape == (16, side, side, 256 * 2**stage)
  assert f'layer4_{3}' not in seen


def test_every_second_block_of_deep_networks():
  # The released ResNet-101 files have 18 shifted blocks, of all four stages.
  sizes = resnet.DEPTHS[101][1]
  shifted = [
    (stage, index)
    for stage, size in enumerate(sizes)
    for index in range(size)
    if resnet.is_shifted('blockres', 0, sizes, index)
  ]
  assert len(shifted) == 18
  assert [s for s in shifted if s[0] != 2] == [
    (stage, index) for stage in (0, 1, 3) for index in (0, 2)
  ]
  shapes = golden.shapes('r101_shift')
  assert sum('.net.' in key for key in shapes) == 18
  for depth in (18, 34, 50):
    sizes = resnet.DEPTHS[depth][1]
    assert resnet.is_shifted('blockres', 0, sizes, 1)


def test_temporal_pool_is_a_max_over_three_frames():
  ramp = np.arange(8, dtype=np.float32).reshape((8, 1, 1, 1))
  pooled = pooling.pool_time(ramp, 8)
  chex.assert_trees_all_equal(pooled.ravel(), np.float32([1, 3, 5, 7]))
  falling = pooling.pool_time(-1 - ramp, 8)
  chex.assert_trees_all_equal(falling.ravel(), np.float32([-1, -2, -4, -6]))
  with pytest.raises(ValueError, match='number of frames, which is 7'):
    pooling.pool_time(ramp[:7], 7)


def test_temporal_pool_halves_what_follows():
  frames = nets.clips(2, 8, 32, 32, 3)
  model = tiny(temporal_pool=True).clone(consensus='none')
  variables = nets.tiny_variables(model, frames)
  apply = jax.jit(model.apply)
  logits = apply(variables, frames)
  assert logits.shape == (2, 4, 10)
  # A shift that mixed clips of 8 would show one clip's change in the other.
  changed = frames.copy()
  changed[1] += 1
  both = apply(variables, changed)
  chex.assert_trees_all_equal(both[0], logits[0])


@pytest.mark.parametrize(
  ('fields', 'platform', 'expected'),
  [
    ({}, 'tpu', ['layer1_1', 'layer1_2']),
    ({'shift_every': 2}, 'tpu', ['layer1_1', 'layer1_2']),
    ({'shift_every': 3}, 'tpu', ['layer1_2']),
    ({'shift': 'none'}, 'tpu', []),
    ({'shift_form': 'select'}, 'tpu', []),
    ({}, 'cpu', []),
  ],
)
def test_sums_that_a_convolution_shifts_are_stored(fields, platform, expected):
  """But where the identity has a convolution, and behind the last block."""
  config = {**nets.CONFIG, 'stage_sizes': (3, 2), **fields}
  model = models.create_model(config, platform)
  found = []

  def note(call, args, kwargs, context):
    if isinstance(context.module, residual.ReluOfSum) and context.module.stored:
      found.append(context.module.path[0])
    return call(*args, **kwargs)

  frames = jax.ShapeDtypeStruct((1, 2, 32, 32, 3), np.float32)
  with nn.intercept_methods(note):
    jax.eval_shape(model.init, jax.random.key(0), frames)
  assert found == expected
