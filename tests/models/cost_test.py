import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import helpers  # noqa: F401 (finds configs)
from tsm_jax import models
from tsm_jax.configs import common
from tsm_jax.insight import describe
from tsm_jax.models import cost


def measured(**fields):
  """Parameters, and G multiply-adds of one clip of 224x224 pixels."""
  config = {**models.DEFAULTS, **fields}
  model = models.create_model(config)
  shape = (1, config['num_frames'], 224, 224, 3)
  frames = jax.ShapeDtypeStruct(shape, np.float32)
  variables = jax.eval_shape(model.init, jax.random.key(0), frames)
  layers, attention = cost.multiply_adds(model.apply, variables, frames)
  count = cost.num_parameters(variables['params'])
  return count, layers / 1e9, attention / 1e9


# Parameters and GMACs of the official models.
@pytest.mark.parametrize(
  ('fields', 'num_classes', 'parameters', 'gmacs'),
  [
    ({'depth': 18}, 174, 11_265_774, 14.51),
    ({'depth': 34}, 174, 21_373_934, 29.31),
    ({'depth': 50}, 400, 24_327_632, 32.70),
    ({'depth': 50, 'non_local': True}, 400, 31_686_096, 49.15),
    ({'depth': 101}, 174, 42_856_686, 62.40),
    ({'name': 'mobilenet_v2'}, 27, 2_258_459, 2.40),
  ],
)
def test_official_sizes_and_costs(fields, num_classes, parameters, gmacs):
  # As --mode=describe prints them.
  config = common.get_config('any')
  config.model.update(num_classes=num_classes, **fields)
  *_, line = describe.describe(config)
  assert f'{parameters:,} parameters, {gmacs:.2f} G multiply-adds' in line


def test_the_shift_costs_nothing():
  small = {'stage_sizes': (1, 1), 'num_classes': 10}
  with_shift = measured(**small)
  assert with_shift == measured(**small, shift='none')
  # Twice the frames cost twice as much.
  _, gmacs, _ = measured(**small, num_frames=16)
  assert gmacs == 2 * with_shift[1]


def test_attention_by_hand():
  _, _, attention = measured(
    num_classes=400, non_local=True, stage_sizes=(1, 3, 5)
  )
  # Scores and their product with g: queries x keys x channels, twice; the keys
  # are pooled to half of both sides.
  expected = 2 * (
    2 * (8 * 28 * 28) * (8 * 14 * 14) * 256
    + 3 * (8 * 14 * 14) * (8 * 7 * 7) * 512
  )
  assert attention == pytest.approx(expected / 1e9)


def test_a_convolution_and_a_product_by_hand():
  def function(x, kernel, weights):
    y = jax.lax.conv_general_dilated(
      x, kernel, (2, 2), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    return jnp.einsum('nhwc,cd->nhwd', y, weights)

  x, kernel, weights = (
    np.ones((2, 7, 7, 3)),
    np.ones((3, 3, 3, 4)),
    np.ones((4, 5)),
  )
  conv = 2 * 3 * 3 * 4 * (3 * 3 * 3)
  product = 2 * 3 * 3 * 5 * 4
  found = cost.multiply_adds(jax.jit(function), x, kernel, weights)
  assert found == (conv + product, 0)
