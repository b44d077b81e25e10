import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import golden, nets
from tsm_jax import convert, models
from tsm_jax.models import mobilenet_v2
from tsm_jax.models.layers import depthwise

CONFIG = {**nets.CONFIG, 'name': 'mobilenet_v2'}


def test_recorded_logits():
  case = golden.case('mbv2_shift8_T8_64')
  shapes = golden.shapes('mbv2_shift_dropout', num_classes=10)
  weights = golden.weights(shapes)
  assert len(weights) == case['n_keys']
  config, variables = convert.from_torch(weights)
  frames = golden.frames(case['B'], case['T'], case['H'])
  logits = jax.jit(models.create_model(config).apply)(variables, frames)
  np.testing.assert_allclose(logits, case['logits'], rtol=1e-4, atol=1e-5)


def test_the_ten_shifted_blocks():
  shifted = [i for i in range(1, 18) if mobilenet_v2.is_shifted(i)]
  assert shifted == [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]
  in_checkpoint = [
    int(key.split('.')[3])
    for key in golden.shapes('mbv2_shift_dropout')
    if '.net.' in key
  ]
  assert in_checkpoint == shifted


def test_channels_are_rounded_up():
  # 1.4 * 24 is 33.6, which torchvision rounds to the nearest, 32.
  assert mobilenet_v2.round_up(1.4 * 24) == 40
  assert mobilenet_v2.round_up(1.1 * 32) == 40
  assert mobilenet_v2.round_up(0.5 * 16) == 8
  model = models.create_model({**CONFIG, 'width_multiplier': 0.5})
  frames = jnp.zeros((1, 8, 32, 32, 3))
  params = jax.eval_shape(model.init, jax.random.key(0), frames)['params']
  assert params['conv1']['kernel'].shape == (3, 3, 3, 32)
  assert params['block17']['project']['kernel'].shape == (1, 1, 480, 160)
  assert params['head']['kernel'].shape == (1280, 10)


@pytest.mark.parametrize(('side', 'stride'), [(8, 1), (8, 2), (7, 2)])
def test_depthwise_sum_equals_the_convolution(stride, side):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, side, side + 1, 24)).astype(np.float32)
  kernel = rng.normal(size=(3, 3, 1, 24)).astype(np.float32)
  strides, padding = (stride, stride), ((1, 1), (1, 1))
  conv = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=strides,
    padding=padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=24,
  )

  def ours(x, kernel):
    return depthwise.sum_of_products(x, kernel, strides, padding)

  def with_gradient(f):
    def both(x, kernel):
      y, vjp = jax.vjp(f, x, kernel)
      return y, vjp(jnp.cos(y))

    return jax.jit(both)(x, kernel)

  chex.assert_trees_all_close(
    with_gradient(ours), with_gradient(conv), rtol=1e-5, atol=1e-5
  )
  half = depthwise.sum_of_products(
    jnp.bfloat16(x), jnp.bfloat16(kernel), strides, padding
  )
  assert half.dtype == jnp.bfloat16
  chex.assert_trees_all_close(jnp.float32(half), conv(x, kernel), atol=0.05)


def test_other_platforms_keep_the_convolution():
  model = models.create_model({**CONFIG, 'num_frames': 1})
  frames = jnp.zeros((1, 1, 32, 32, 3))
  variables = jax.eval_shape(model.init, jax.random.key(0), frames)
  apply = jax.jit(model.apply)
  for platform, count in (('cpu', 1), ('tpu', 18)):
    lowered = apply.trace(variables, frames).lower(
      lowering_platforms=(platform,)
    )
    assert lowered.as_text().count('stablehlo.convolution') == count


def test_impossible_fields_are_named():
  for field, value in (
    ('shift', 'block'),
    ('non_local', True),
    ('temporal_pool', True),
    ('width_multiplier', 0.0),
  ):
    with pytest.raises(ValueError, match=f'model.{field} is {value!r}'):
      models.create_model({**CONFIG, field: value})
